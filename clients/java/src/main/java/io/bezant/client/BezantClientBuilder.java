package io.bezant.client;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Makes a {@link BezantClient}.
 *
 * <p>Unless you say otherwise, the connection to a loopback address is plain text, and any other is TLS with the
 * system's root certificates.
 */
public final class BezantClientBuilder {
    private static final Pattern ADDRESS = Pattern.compile("(\\[[0-9A-Fa-f:.]+]|[^\\s:/\\[\\]]+):([0-9]{1,5})");
    private static final Pattern LOOPBACK = Pattern.compile("localhost|127(\\.[0-9]{1,3}){3}|\\[::1]");
    private static final Pattern HEADER_VALUE = Pattern.compile("[\\x21-\\x7e]+");
    private static final int LARGEST_PORT = 65_535;
    private static final Duration LONGEST_PONG = Duration.ofSeconds(10);
    private static final int LARGEST_MESSAGE_BYTES = 26 * 1024 * 1024;

    private final String host;
    private final int port;
    private String apiKey;
    private Duration deadline = Duration.ofSeconds(30);
    private Duration keepAlive = Duration.ofSeconds(30);
    private boolean plaintext;
    private boolean tls;
    private Path trustedCertificates;
    private Path certificateChain;
    private Path privateKey;

    BezantClientBuilder(String address) {
        Matcher matcher = ADDRESS.matcher(address);
        if (!matcher.matches() || !isPort(Integer.parseInt(matcher.group(2)))) {
            throw new IllegalArgumentException("address: must be host:port, such as 127.0.0.1:50051, not " + address);
        }
        host = matcher.group(1);
        port = Integer.parseInt(matcher.group(2));
        plaintext = LOOPBACK.matcher(host).matches();
    }

    /**
     * Sends an API key with every call, as metadata {@code x-api-key}.
     *
     * @param apiKey a key that {@code bezant keys add} made
     * @return this
     * @throws IllegalArgumentException if no key looks like that
     */
    public BezantClientBuilder apiKey(String apiKey) {
        if (!HEADER_VALUE.matcher(apiKey).matches()) {
            throw new IllegalArgumentException("apiKey: must be printable ASCII without spaces");
        }
        this.apiKey = apiKey;
        return this;
    }

    /**
     * Sets the deadline of unary calls that name none: 30 seconds otherwise.
     *
     * @param deadline how long such a call may take
     * @return this
     * @throws IllegalArgumentException if it is not positive
     */
    public BezantClientBuilder deadline(Duration deadline) {
        this.deadline = positive("deadline", deadline);
        return this;
    }

    /**
     * Sets how often a quiet connection with calls under way is asked whether it lives: every 30 seconds otherwise. One
     * that does not answer within ten is dead, and its calls are UNAVAILABLE.
     *
     * @param keepAlive how long it may be quiet; gRPC asks every ten seconds at most
     * @return this
     * @throws IllegalArgumentException if it is not positive
     */
    public BezantClientBuilder keepAlive(Duration keepAlive) {
        this.keepAlive = positive("keepAlive", keepAlive);
        return this;
    }

    /**
     * Speaks plain text to an address beyond loopback, too: for a network that is private, as between containers.
     *
     * @return this
     */
    public BezantClientBuilder plaintext() {
        plaintext = true;
        tls = false;
        return this;
    }

    /**
     * Speaks TLS to a loopback address, too.
     *
     * @return this
     */
    public BezantClientBuilder tls() {
        plaintext = false;
        tls = true;
        return this;
    }

    /**
     * Trusts the certificates of a file instead of the system's roots, and speaks TLS.
     *
     * @param pem certificates of authorities
     * @return this
     */
    public BezantClientBuilder trustedCertificates(Path pem) {
        trustedCertificates = pem;
        return tls();
    }

    /**
     * Shows a certificate to a server that asks for one (mutual TLS), and speaks TLS.
     *
     * @param chain the certificate, and those between it and its authority: PEM
     * @param key its private key: PEM, PKCS #8
     * @return this
     */
    public BezantClientBuilder clientCertificate(Path chain, Path key) {
        certificateChain = chain;
        privateKey = key;
        return tls();
    }

    /**
     * Makes the client. It connects with the first call.
     *
     * @return the client; close it
     * @throws UncheckedIOException if a certificate cannot be read
     */
    public BezantClient build() {
        ManagedChannel connection = Grpc.newChannelBuilderForAddress(host, port, credentials())
                .disableServiceConfigLookUp()
                .defaultServiceConfig(ReadRetries.serviceConfig())
                .keepAliveTime(keepAlive.toMillis(), TimeUnit.MILLISECONDS)
                .keepAliveTimeout(LONGEST_PONG.toMillis(), TimeUnit.MILLISECONDS)
                .maxInboundMessageSize(LARGEST_MESSAGE_BYTES)
                .build();
        return new BezantClient(connection, apiKey, deadline);
    }

    private ChannelCredentials credentials() {
        if (plaintext) {
            return InsecureChannelCredentials.create();
        }
        TlsChannelCredentials.Builder credentials = TlsChannelCredentials.newBuilder();
        try {
            if (trustedCertificates != null) {
                credentials.trustManager(trustedCertificates.toFile());
            }
            if (certificateChain != null) {
                credentials.keyManager(certificateChain.toFile(), privateKey.toFile());
            }
        } catch (IOException unreadable) {
            throw new UncheckedIOException("certificate: " + unreadable.getMessage(), unreadable);
        }
        return credentials.build();
    }

    private static boolean isPort(int port) {
        return 1 <= port && port <= LARGEST_PORT;
    }

    private static Duration positive(String name, Duration duration) {
        if (duration.isNegative() || duration.isZero()) {
            throw new IllegalArgumentException(name + ": must be positive, not " + duration);
        }
        return duration;
    }
}
