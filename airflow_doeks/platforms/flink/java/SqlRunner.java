package airflow_doeks;

import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ExecutionOptions;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.internal.TableEnvironmentInternal;
import org.apache.flink.table.catalog.ContextResolvedTable;
import org.apache.flink.table.catalog.ObjectIdentifier;

/**
 * Runs a file of Flink SQL: {@code SqlRunner (bounded|streaming) PATH_OR_URL}. Flink 1.18 to 2.3.
 *
 * <p>A bounded file runs one statement after another; of a stream all statements run together. Every job carries in its
 * global parameters, which the REST API and the job's archive show, which tables it reads and writes and where they
 * are. Options outside of SHOWN stay here: they may be passwords, as parts of an address may.
 */
public final class SqlRunner {
    static final String TABLES = "doeks.tables";
    private static final Set<String> SHOWN =
            new LinkedHashSet<>(
                    Arrays.asList(
                            "connector", "path", "format", "topic", "topic-pattern", "url", "table-name", "hostname",
                            "port", "database-name", "catalog-name", "catalog-type", "catalog-database",
                            "catalog-table", "warehouse", "uri", "index", "hosts", "stream", "stream.arn",
                            "aws.region", "properties.bootstrap.servers"));
    private static final Set<String> ADDRESSES = new LinkedHashSet<>(Arrays.asList("url", "uri", "hosts"));
    private static final Pattern SINK = Pattern.compile("^(?:Legacy)?Sink\\(table=\\[([^\\]]+)\\].*");
    private static final Pattern SCAN = Pattern.compile("TableSourceScan\\(table=\\[\\[([^\\]]+?)(?:, \\w+=\\[|\\])");
    private static final Pattern SET = Pattern.compile("(?is)SET\\s+'([^']+)'\\s*=\\s*'((?:[^']|'')*)'");
    private static final Pattern BLOCK = Pattern.compile("(?is)(BEGIN\\s+STATEMENT\\s+SET|EXECUTE\\s+STATEMENT\\s+SET\\s+BEGIN)\\b.*");

    private SqlRunner() {}

    public static void main(String[] args) throws Exception {
        boolean isStream = args[0].equals("streaming");
        Configuration conf =
                new Configuration((Configuration) StreamExecutionEnvironment.getExecutionEnvironment().getConfiguration());
        if (!conf.getOptional(ExecutionOptions.RUNTIME_MODE).isPresent()) {
            conf.set(ExecutionOptions.RUNTIME_MODE, isStream ? RuntimeExecutionMode.STREAMING : RuntimeExecutionMode.BATCH);
        }
        TableEnvironment tables =
                TableEnvironment.create(EnvironmentSettings.newInstance().withConfiguration(conf).build());
        String file = args[1].substring(args[1].lastIndexOf('/') + 1);
        List<TableResult> running = new ArrayList<>();
        for (Statement one : split(read(args[1]))) {
            System.out.println("SQL " + file + ":" + one.line + ": " + one.title());
            try {
                Optional<TableResult> job = run(tables, one.text);
                if (job.isPresent() && isStream) {
                    running.add(job.get());
                } else if (job.isPresent()) {
                    job.get().await();
                }
            } catch (Throwable error) {
                System.out.println("SQL " + file + ":" + one.line + ": failed");
                throw error;
            }
        }
        for (TableResult job : running) {
            job.await();
        }
    }

    /** Runs one statement; what writes is given back as it runs, what shows is printed. */
    private static Optional<TableResult> run(TableEnvironment tables, String text) {
        Matcher set = SET.matcher(text);
        if (set.matches()) {
            tables.getConfig().set(set.group(1), set.group(2).replace("''", "'"));
            return Optional.empty();
        }
        boolean writes = text.matches("(?is)(INSERT|EXECUTE|CREATE\\s+(OR\\s+REPLACE\\s+)?TABLE.*\\bAS\\s+SELECT|REPLACE|UPDATE|DELETE)\\b.*");
        if (writes && !text.matches("(?is)(CREATE|REPLACE|UPDATE|DELETE)\\b.*")) {
            tables.getConfig().set(PipelineOptions.GLOBAL_JOB_PARAMETERS, parameters(tables, text));
        }
        TableResult result = tables.executeSql(text);
        if (writes) {
            return Optional.of(result);
        }
        result.print();
        return Optional.empty();
    }

    private static Map<String, String> parameters(TableEnvironment tables, String text) {
        Map<String, String> all =
                new LinkedHashMap<>(tables.getConfig().getOptional(PipelineOptions.GLOBAL_JOB_PARAMETERS).orElse(new LinkedHashMap<>()));
        all.put(TABLES, tablesOf(tables, tables.explainSql(text)));
        return all;
    }

    /** {"options": {table: {key: value}}, "reads": [table], "writes": [[table, what it is written from]]} of a plan. */
    static String tablesOf(TableEnvironment tables, String explained) {
        Set<String> reads = new LinkedHashSet<>();
        List<List<String>> writes = new ArrayList<>();
        int from = explained.indexOf("== Optimized Execution Plan ==");
        String[] lines = explained.substring(Math.max(from, 0)).split("\n");
        for (int at = 0; at < lines.length; at++) {
            Matcher sink = SINK.matcher(lines[at]);
            if (sink.matches()) {
                String input = at + 1 < lines.length ? lines[at + 1].replaceFirst("^[ :]*\\+- ", "") : "";
                writes.add(Arrays.asList(sink.group(1), input));
            }
            Matcher scan = SCAN.matcher(lines[at]);
            while (scan.find()) {
                reads.add(scan.group(1).replace(", ", "."));
            }
        }
        Map<String, Map<String, String>> options = new TreeMap<>();
        for (String table : reads) {
            options.put(table, optionsOf(tables, table));
        }
        List<String> written = new ArrayList<>();
        for (List<String> pair : writes) {
            options.put(pair.get(0), optionsOf(tables, pair.get(0)));
            written.add(Json.list(pair));
        }
        List<String> shown = new ArrayList<>();
        options.forEach((table, values) -> shown.add(Json.text(table) + ":" + Json.map(values)));
        return "{\"options\":{" + String.join(",", shown) + "},\"reads\":" + Json.list(new ArrayList<>(reads))
                + ",\"writes\":[" + String.join(",", written) + "]}";
    }

    private static Map<String, String> optionsOf(TableEnvironment tables, String name) {
        Map<String, String> shown = new TreeMap<>();
        String[] parts = name.split("\\.", 3);
        if (parts.length < 3) {
            return shown;
        }
        try {
            Optional<ContextResolvedTable> found =
                    ((TableEnvironmentInternal) tables).getCatalogManager().getTable(ObjectIdentifier.of(parts[0], parts[1], parts[2]));
            if (found.isPresent()) {
                found.get().getResolvedTable().getOptions().forEach(
                        (key, value) -> {
                            if (SHOWN.contains(key.toLowerCase(Locale.ROOT))) {
                                shown.put(key, ADDRESSES.contains(key.toLowerCase(Locale.ROOT)) ? withoutSecrets(value) : value);
                            }
                        });
            }
        } catch (RuntimeException | LinkageError error) { // a catalog that does not answer costs lineage, not the job
            System.out.println("SQL: where " + name + " is, is not known: " + error);
        }
        return shown;
    }

    /** An address without who logs in there: `//user:word@`, `thin:user/word@`, options after `?`, `;password=`. */
    static String withoutSecrets(String address) {
        return address.replaceAll("(?<=//)[^/@]*@", "")
                .replaceAll("(?i)(?<=:thin:)[^/@]+/[^@]*@", "@")
                .replaceAll("\\?.*", "")
                .replaceAll("(?i)\\w*(?:user|passw|pwd|secret|token|credential|key)\\w*=[^;&,)]*", "");
    }

    private static String read(String url) throws Exception {
        Path path = new Path(url);
        try (InputStream in = path.getFileSystem().open(path)) {
            ByteArrayOutputStream all = new ByteArrayOutputStream();
            byte[] block = new byte[8192];
            for (int count = in.read(block); count >= 0; count = in.read(block)) {
                all.write(block, 0, count);
            }
            return new String(all.toByteArray(), StandardCharsets.UTF_8);
        }
    }

    /** The statements of a file; quotes and comments hide a semicolon, and a statement set ends with END. */
    static List<Statement> split(String sql) {
        List<Statement> found = new ArrayList<>();
        StringBuilder text = new StringBuilder();
        int line = 1;
        int start = 1;
        for (int at = 0; at < sql.length(); at++) {
            char c = sql.charAt(at);
            int end = at;
            if (sql.startsWith("--", at)) {
                int stop = sql.indexOf('\n', at);
                at = (stop < 0 ? sql.length() : stop) - 1;
                continue;
            } else if (sql.startsWith("/*", at) && !sql.startsWith("/*+", at)) {
                int stop = sql.indexOf("*/", at + 2);
                end = stop < 0 ? sql.length() - 1 : stop + 1;
                line += count(sql, at, end);
                at = end;
                text.append(' ');
                continue;
            } else if (c == '\'' || c == '"' || c == '`') {
                int stop = sql.indexOf(c, at + 1); // a doubled quote opens the rest of the same text
                end = stop < 0 ? sql.length() - 1 : stop;
            }
            if (text.length() == 0 && !Character.isWhitespace(c)) {
                start = line;
            }
            if (c == ';' && end == at && isWhole(text.toString())) {
                add(found, text, start);
                continue;
            }
            if (text.length() > 0 || !Character.isWhitespace(c)) {
                text.append(sql, at, end + 1);
            }
            line += count(sql, at, end);
            at = end;
        }
        add(found, text, start);
        return found;
    }

    private static boolean isWhole(String text) {
        return !BLOCK.matcher(text).matches() || text.matches("(?is).*;\\s*END\\s*");
    }

    private static void add(List<Statement> found, StringBuilder text, int line) {
        String one = text.toString().trim().replaceFirst("(?is)^BEGIN\\s+STATEMENT\\s+SET\\s*;?", "EXECUTE STATEMENT SET BEGIN\n");
        text.setLength(0);
        if (!one.isEmpty()) {
            found.add(new Statement(one, line));
        }
    }

    private static int count(String sql, int from, int to) {
        int lines = 0;
        for (int at = from; at <= to && at < sql.length(); at++) {
            lines += sql.charAt(at) == '\n' ? 1 : 0;
        }
        return lines;
    }

    /** One statement and the line of the file where it begins. */
    static final class Statement {
        final String text;
        final int line;

        Statement(String text, int line) {
            this.text = text;
            this.line = line;
        }

        /** Its first words; what follows may be a secret. */
        String title() {
            Matcher words = Pattern.compile("(?s)[A-Za-z_.`\\s]{1,80}").matcher(text);
            return words.lookingAt() ? words.group().trim().replaceAll("\\s+", " ") : "statement";
        }
    }
}
