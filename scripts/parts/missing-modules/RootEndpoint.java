import java.io.IOException;
import java.util.List;
import java.util.function.Supplier;
import org.apache.lucene.util.Version;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.XContentBuilder;

/** Answers GET / and HEAD / as a whole Elasticsearch does: clients ask for the version there. */
final class RootEndpoint extends BaseRestHandler {
    private final Supplier<ClusterService> cluster;

    RootEndpoint(Supplier<ClusterService> cluster) {
        this.cluster = cluster;
    }

    @Override
    public String getName() {
        return "sightline_root_endpoint";
    }

    @Override
    public List<Route> routes() {
        return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
    }

    @Override
    protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
        return channel -> channel.sendResponse(new RestResponse(RestStatus.OK, describe(channel.newBuilder())));
    }

    private XContentBuilder describe(XContentBuilder out) throws IOException {
        Build build = Build.current();
        out.startObject();
        out.field("name", cluster.get().getNodeName());
        out.field("cluster_name", cluster.get().getClusterName().value());
        out.field("cluster_uuid", cluster.get().state().metadata().clusterUUID());
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
