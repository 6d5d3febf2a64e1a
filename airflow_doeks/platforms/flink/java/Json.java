package airflow_doeks;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The little JSON that is written here: texts, lists and maps of texts. */
final class Json {
    private Json() {}

    static String text(String value) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : value.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }

    static String list(List<String> values) {
        List<String> out = new ArrayList<>();
        values.forEach(value -> out.add(text(value)));
        return "[" + String.join(",", out) + "]";
    }

    static String map(Map<String, String> values) {
        List<String> out = new ArrayList<>();
        values.forEach((key, value) -> out.add(text(key) + ":" + text(value)));
        return "{" + String.join(",", out) + "}";
    }
}
