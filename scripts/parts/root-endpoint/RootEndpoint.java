// Answers GET / and HEAD / as a whole Elasticsearch does: clients ask for the version there, and the
// integration-test distribution leaves that endpoint out.

import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.apache.lucene.util.Version;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.IndexScopedSettings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.settings.SettingsFilter;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.XContentBuilder;

/** The plugin: one handler. */
public final class RootEndpoint extends Plugin implements ActionPlugin {
    private ClusterService cluster;

    @Override
    public Collection<?> createComponents(PluginServices services) {
        cluster = services.clusterService();
        return List.of();
    }

    @Override
    public Collection<RestHandler> getRestHandlers(
            Settings settings,
            NamedWriteableRegistry writeables,
            RestController controller,
            ClusterSettings clusterSettings,
            IndexScopedSettings indexSettings,
            SettingsFilter filter,
            IndexNameExpressionResolver resolver,
            Supplier<DiscoveryNodes> nodes,
            Predicate<NodeFeature> features) {
        return List.of(new Handler());
    }

    private final class Handler extends BaseRestHandler {
        @Override
        public String getName() {
            return "sightline_root_endpoint";
        }

        @Override
        public List<Route> routes() {
            return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
        }

        @Override
        protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) throws IOException {
            return channel -> channel.sendResponse(new RestResponse(RestStatus.OK, describe(channel.newBuilder())));
        }

        private XContentBuilder describe(XContentBuilder out) throws IOException {
            Build build = Build.current();
            out.startObject();
            out.field("name", cluster.getNodeName());
            out.field("cluster_name", cluster.getClusterName().value());
            out.field("cluster_uuid", cluster.state().metadata().clusterUUID());
            out.startObject("version");
            out.field("number", build.version());
            out.field("build_flavor", build.flavor());
            out.field("build_type", build.type().displayName());
            out.field("build_hash", build.hash());
            out.field("build_date", build.date());
            out.field("build_snapshot", build.isSnapshot());
            out.field("lucene_version", Version.LATEST.toString());
            out.field("minimum_wire_compatibility_version", build.minWireCompatVersion());
            out.field("minimum_index_compatibility_version", build.minIndexCompatVersion());
            out.endObject();
            out.field("tagline", "You Know, for Search");
            return out.endObject();
        }
    }
}
