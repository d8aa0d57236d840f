import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.action.admin.indices.rollover.Condition;
import org.elasticsearch.action.admin.indices.rollover.RolloverConditions;
import org.elasticsearch.action.admin.indices.rollover.RolloverConfiguration;
import org.elasticsearch.action.admin.indices.rollover.RolloverInfo;
import org.elasticsearch.cluster.metadata.ComposableIndexTemplate;
import org.elasticsearch.cluster.metadata.DataStream;
import org.elasticsearch.cluster.metadata.DataStreamLifecycle;
import org.elasticsearch.cluster.metadata.IndexMetadata;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.unit.ByteSizeValue;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.index.Index;
import org.elasticsearch.index.IndexVersion;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.XContentParserConfiguration;
import org.elasticsearch.xcontent.json.JsonXContent;

/**
 * How long a data stream of an index template keeps its records: StreamCheck ROLLOVER TEMPLATE..., with ROLLOVER as the cluster's setting has it,
 * or "default".
 *
 * <p>The template is read, and each decision (is this index due for a new one, is that one past retention) is made, by Elasticsearch's own
 * classes; what is ours is the clock and the list of indices, since the service that looks every five minutes is in a module that cannot be had.
 * A record is written at each look. Prints the lowest and the highest age, in days, at which records went.
 */
public final class StreamCheck {
    private static final long LOOK = TimeUnit.MINUTES.toMillis(30);
    private static final long DAY = TimeUnit.DAYS.toMillis(1);

    public static void main(String[] arguments) throws Exception {
        LogConfigurator.configureESLogging();
        String rollover = arguments[0].equals("default")
            ? DataStreamLifecycle.CLUSTER_LIFECYCLE_DEFAULT_ROLLOVER_SETTING.getDefaultRaw(Settings.EMPTY)
            : arguments[0];
        RolloverConfiguration configuration = RolloverConfiguration.parseSetting(rollover, "cluster.lifecycle.default.rollover");
        for (int i = 1; i < arguments.length; i++) {
            DataStreamLifecycle lifecycle = read(Path.of(arguments[i]));
            TimeValue retention = lifecycle.getEffectiveDataRetention(null, false);
            if (lifecycle.enabled() == false || retention == null) {
                System.out.println(arguments[i] + ": its records are kept for ever");
                System.exit(1);
            }
            RolloverConditions due = configuration.resolveRolloverConditions(retention);
            double[] ages = new StreamCheck(lifecycle, retention, due).run();
            System.out.printf("%.1f %.1f%n", ages[0], ages[1]);
        }
    }

    private static DataStreamLifecycle read(Path file) throws Exception {
        try (XContentParser parser = JsonXContent.jsonXContent.createParser(XContentParserConfiguration.EMPTY, Files.readString(file))) {
            return ComposableIndexTemplate.parse(parser).template().lifecycle().toDataStreamLifecycle();
        }
    }

    private final DataStreamLifecycle lifecycle;
    private final TimeValue retention;
    private final RolloverConditions due;
    private final Map<String, IndexMetadata> indices = new LinkedHashMap<>();
    /** When the first and the last record of each index were written, and how many there are. */
    private final Map<String, long[]> records = new LinkedHashMap<>();
    private long now = TimeUnit.DAYS.toMillis(20_000);

    private StreamCheck(DataStreamLifecycle lifecycle, TimeValue retention, RolloverConditions due) {
        this.lifecycle = lifecycle;
        this.retention = retention;
        this.due = due;
    }

    private double[] run() {
        double youngest = Double.MAX_VALUE;
        double oldest = 0;
        create();
        for (long until = now + retention.millis() + 40 * DAY; now < until; now += LOOK) {
            String writing = last();
            long[] written = records.get(writing);
            written[0] = written[2]++ == 0 ? now : written[0];
            written[1] = now;
            rollOver(writing);
            List<Index> names = indices.values().stream().map(IndexMetadata::getIndex).toList();
            DataStream stream = DataStream.builder("logs-kept.app-test", names).setGeneration(names.size()).setLifecycle(lifecycle).build();
            for (Index gone : stream.getIndicesPastRetention(indices::get, () -> now, retention, false)) {
                if (gone.getName().equals(last())) throw new AssertionError("the index that is written to would go");
                indices.remove(gone.getName());
                long[] lost = records.remove(gone.getName());
                youngest = Math.min(youngest, (double) (now - lost[1]) / DAY);
                oldest = Math.max(oldest, (double) (now - lost[0]) / DAY);
            }
        }
        return new double[] {youngest, oldest};
    }

    /** The index that is written to makes room for a new one, if its conditions say so. */
    private void rollOver(String writing) {
        IndexMetadata held = indices.get(writing);
        // Conditions look at the machine's clock: what counts is the index' age.
        long created = System.currentTimeMillis() - (now - held.getCreationDate());
        Condition.Stats stats = new Condition.Stats(records.get(writing)[2], created, ByteSizeValue.ofMb(1), ByteSizeValue.ofMb(1), 1);
        Map<String, Boolean> results = new LinkedHashMap<>();
        List<Condition<?>> met = new ArrayList<>();
        for (Condition<?> condition : due.getConditions().values()) {
            boolean yes = condition.evaluate(stats).matched();
            results.put(condition.toString(), yes);
            if (yes) met.add(condition);
        }
        if (due.areConditionsMet(results)) {
            indices.put(writing, IndexMetadata.builder(held).putRolloverInfo(new RolloverInfo("logs-kept.app-test", met, now)).build());
            create();
        }
    }

    private void create() {
        String name = ".ds-logs-kept.app-test-" + now;
        Settings settings = Settings.builder().put(IndexMetadata.SETTING_VERSION_CREATED, IndexVersion.current())
            .put(IndexMetadata.SETTING_NUMBER_OF_SHARDS, 1).put(IndexMetadata.SETTING_NUMBER_OF_REPLICAS, 0).build();
        indices.put(name, IndexMetadata.builder(name).settings(settings).creationDate(now).build());
        records.put(name, new long[3]);
    }

    private String last() {
        String last = null;
        for (String name : indices.keySet()) last = name;
        return last;
    }
}
