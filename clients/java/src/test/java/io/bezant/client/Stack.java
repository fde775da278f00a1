package io.bezant.client;

import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** The running server that tests/clients of the repository starts, in front of a paper gateway. */
record Stack(String address, String cutUrl, String controlUrl, String apiKey) {
    /** What tests lock that trade: they look at the same positions, and move the same market. */
    static final String LOCK = "stack";

    /** Where it is; without one the test ends here. */
    static Stack running() {
        if (System.getenv("BEZANT_TEST_GRPC") == null) {
            String message = "BEZANT_TEST_GRPC is not set: THIS PART IS NOT TESTED HERE (tests/clients/test_java.py does)";
            if ("true".equals(System.getenv("CI"))) {
                fail(message);
            }
            System.err.println(message);
            abort(message);
        }
        return new Stack(
                System.getenv("BEZANT_TEST_GRPC"),
                System.getenv("BEZANT_TEST_CUT_URL"),
                System.getenv("BEZANT_TEST_CONTROL"),
                System.getenv("BEZANT_TEST_API_KEY"));
    }

    BezantClient client() {
        return BezantClient.builder(address).apiKey(apiKey).build();
    }

    /** Cuts every connection. */
    void cut() {
        post(cutUrl, "");
    }

    /** Pins the market of a contract. */
    void quote(long conid, String bid, String ask) {
        post(controlUrl + "/quotes", "{\"conid\": %d, \"bid\": %s, \"ask\": %s}".formatted(conid, bid, ask));
    }

    private static void post(String url, String body) {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url))
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build();
        try {
            HttpResponse<String> response =
                    HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
            if (response.statusCode() != 200) {
                throw new IllegalStateException(response.body());
            }
        } catch (IOException failed) {
            throw new IllegalStateException(failed);
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        }
    }
}
