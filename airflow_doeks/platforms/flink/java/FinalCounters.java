package airflow_doeks;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Metric;
import org.apache.flink.metrics.MetricConfig;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.reporter.MetricReporter;
import org.apache.flink.metrics.reporter.MetricReporterFactory;

/**
 * Writes the last value of every operator's counters of records and bytes, when its task gives them back: a line of JSON
 * each, to the file of property {@code metrics.reporter.<name>.file}. Flink's REST API loses them with the task.
 */
public final class FinalCounters implements MetricReporter, MetricReporterFactory {
    private Path file;

    @Override
    public MetricReporter createMetricReporter(Properties properties) {
        return new FinalCounters();
    }

    @Override
    public void open(MetricConfig config) {
        file = Paths.get(config.getString("file", "counters.jsonl"));
    }

    @Override
    public void close() {}

    @Override
    public void notifyOfAddedMetric(Metric metric, String name, MetricGroup group) {}

    @Override
    public void notifyOfRemovedMetric(Metric metric, String name, MetricGroup group) {
        Map<String, String> variables = group.getAllVariables();
        if (!(metric instanceof Counter) || !variables.containsKey("<operator_id>") || !name.matches("num(Records|Bytes)\\w*")) {
            return;
        }
        Map<String, String> line = new TreeMap<>();
        line.put("name", name);
        line.put("value", Long.toString(((Counter) metric).getCount()));
        for (String key : new String[] {"job_id", "task_id", "operator_id", "operator_name", "subtask_index", "task_attempt_num"}) {
            line.put(key, variables.getOrDefault("<" + key + ">", ""));
        }
        try {
            byte[] text = (Json.map(line) + "\n").getBytes(StandardCharsets.UTF_8);
            Files.write(file, text, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException error) {
            System.out.println("counters could not be written: " + error);
        }
    }
}
