import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.elasticsearch.core.CheckedFunction;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.XContentParserConfiguration;
import org.elasticsearch.xcontent.json.JsonXContent;
import org.elasticsearch.xpack.core.ilm.DeleteAction;
import org.elasticsearch.xpack.core.ilm.LifecycleAction;
import org.elasticsearch.xpack.core.ilm.LifecyclePolicy;
import org.elasticsearch.xpack.core.ilm.LifecycleType;
import org.elasticsearch.xpack.core.ilm.RolloverAction;
import org.elasticsearch.xpack.core.ilm.TimeseriesLifecycleType;

/**
 * Reads lifecycle policies with the parser of the very Elasticsearch that the tests run: its distribution here has the classes, but not
 * the service that acts on them. Prints each policy's phases with their ages; exit 1 names the file that is refused, and why.
 */
public final class PolicyCheck {
    public static void main(String[] files) throws Exception {
        NamedXContentRegistry known = new NamedXContentRegistry(List.of(
            new NamedXContentRegistry.Entry(LifecycleType.class, new ParseField(TimeseriesLifecycleType.TYPE), p -> TimeseriesLifecycleType.INSTANCE),
            action(DeleteAction.NAME, DeleteAction::parse),
            action(RolloverAction.NAME, RolloverAction::parse)));
        for (String file : files) {
            XContentParserConfiguration reading = XContentParserConfiguration.EMPTY.withRegistry(known);
            try (XContentParser parser = JsonXContent.jsonXContent.createParser(reading, Files.readString(Path.of(file)))) {
                parser.nextToken(); // {
                parser.nextToken(); // "policy"
                LifecyclePolicy policy = LifecyclePolicy.parse(parser, "policy");
                policy.getType().validate(policy.getPhases().values());
                policy.getPhases().forEach((name, phase) -> System.out.println(name + " after " + phase.getMinimumAge()));
            } catch (Exception refused) {
                Throwable cause = refused;
                while (cause.getCause() != null) cause = cause.getCause();
                System.out.println(file + ": " + refused.getMessage() + ": " + cause.getMessage());
                System.exit(1);
            }
        }
    }

    private static NamedXContentRegistry.Entry action(String name, CheckedFunction<XContentParser, LifecycleAction, java.io.IOException> parse) {
        return new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(name), parse);
    }
}
