import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.serialization.SimpleStringEncoder;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.functions.sink.filesystem.rollingpolicies.OnCheckpointRollingPolicy;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Writes the numbers from 1 to --limit, each once, --rate of them a second, as "label,number" into files below --out. */
public class Counting {
    public static void main(String[] args) throws Exception {
        Map<String, String> given = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) given.put(args[i], args[i + 1]);
        String label = given.getOrDefault("--label", "a"), uid = given.getOrDefault("--uid", "numbers");
        long limit = Long.parseLong(given.getOrDefault("--limit", "1000000000"));
        long millis = 1000 / Long.parseLong(given.getOrDefault("--rate", "20"));
        long failAt = Long.parseLong(given.getOrDefault("--fail-at", "-1"));
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.fromSequence(1, limit).uid(uid).name("numbers")
            .map(new Slow(label, millis, failAt)).uid("slow").name("slow")
            .sinkTo(FileSink.forRowFormat(new Path(given.get("--out")), new SimpleStringEncoder<String>())
                .withRollingPolicy(OnCheckpointRollingPolicy.build()).build())
            .uid("files").name("files");
        env.execute();
    }

    static class Slow extends RichMapFunction<Long, String> {
        private final String label;
        private final long millis, failAt;

        Slow(String label, long millis, long failAt) {
            this.label = label;
            this.millis = millis;
            this.failAt = failAt;
        }

        @Override
        public String map(Long number) throws Exception {
            if (number == failAt) throw new IllegalStateException("number " + number + " is not welcome");
            Thread.sleep(millis);
            return label + "," + number;
        }
    }
}
