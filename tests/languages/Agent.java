// A stand-in for an agent of the mesh's Spring Boot starter: it reads what that reads, and says what it found.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;

public class Agent {
    static String variable(String name, String usual) {
        return System.getenv().getOrDefault(name, usual);
    }

    static boolean writes(String folder) {
        try {
            Files.delete(Files.write(Path.of(folder, "written"), new byte[1]));
            return true;
        } catch (IOException error) {
            return false;
        }
    }

    // As the starter does with the mesh's core: a library out of the temporary folder.
    static boolean loads() {
        try {
            Path library = Files.createTempDirectory("mcp-mesh-native-").resolve("libnative.so");
            Files.copy(Path.of(System.getProperty("java.home"), "lib", "libzip.so"), library);
            System.load(library.toString());
            return true;
        } catch (IOException | UnsatisfiedLinkError error) {
            System.err.println(error);
            return false;
        }
    }

    static String texts(Stream<String> values) {
        return values.map(value -> '"' + value + '"').collect(Collectors.joining(",", "[", "]"));
    }

    static String about(String[] arguments, boolean loads) throws IOException {
        Stream<String> folders = Stream.of("/", "/app", "/app/logs", "/etc", "/usr/local", "/tmp", variable("HOME", "/root"));
        return "{\"arguments\":" + texts(Stream.of(arguments))
            + ",\"uid\":" + Files.getAttribute(Path.of("/proc/self"), "unix:uid")
            + ",\"heap\":" + Runtime.getRuntime().maxMemory()
            + ",\"writable\":" + texts(folders.distinct().filter(folder -> Files.isDirectory(Path.of(folder)) && writes(folder)))
            + ",\"loads\":" + loads + "}";
    }

    static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] body = text.getBytes();
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    // Too much work for one thread, which ends of it. What it held is free again.
    static void fill() {
        List<byte[]> kept = new ArrayList<>();
        while (true) {
            kept.add(new byte[1 << 20]);
        }
    }

    static void register(String name, int port) throws InterruptedException {
        String id = name + "-" + UUID.randomUUID().toString().substring(0, 8);
        String body = "{\"agent_id\":\"" + id + "\",\"name\":\"" + name + "\",\"agent_type\":\"mcp_agent\",\"http_host\":\""
            + variable("MCP_MESH_HTTP_HOST", "") + "\",\"http_port\":" + port + "}";
        URI url = URI.create(variable("MCP_MESH_REGISTRY_URL", "http://localhost:8000") + "/heartbeat");
        HttpRequest request = HttpRequest.newBuilder(url).POST(HttpRequest.BodyPublishers.ofString(body)).build();
        while (true) {
            try {
                HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()
                    .send(request, HttpResponse.BodyHandlers.discarding());
                return;
            } catch (IOException error) {
                Thread.sleep(200);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(variable("MCP_MESH_HTTP_PORT", "8080"));
        boolean loads = loads();
        HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
        for (String path : List.of("/livez", "/ready", "/startupz", "/health")) {
            server.createContext(path, exchange -> answer(exchange, 200, "{}"));
        }
        server.createContext("/about", exchange -> answer(exchange, 200, about(arguments, loads)));
        server.createContext("/fill", exchange -> new Thread(Agent::fill).start());
        server.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            System.out.println("leaving");
            server.stop(0);
        }));
        System.out.println("listens on " + port);
        register(variable("MCP_MESH_AGENT_NAME", "agent"), port);
    }
}
