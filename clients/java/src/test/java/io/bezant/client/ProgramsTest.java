package io.bezant.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.bezant.examples.BracketOrder;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.ResourceLock;

/** Runs what users read first, as they run it. */
@Timeout(120)
@ResourceLock(Stack.LOCK)
class ProgramsTest {
    private static final long APPLE = 265_598;
    private static final String CLASS_PATH =
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    private static final Pattern JAVA = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
    private static final String FRAGMENT =
            """
            import io.bezant.client.*;
            import io.bezant.v1.*;
            import io.grpc.StatusRuntimeException;

            abstract class Fragment%d {
                abstract void handle(Event event);

                abstract void reconcile();

                void run(BezantClient client, GetContractRequest request) {
                    %s
                }
            }
            """;

    @Test
    void theExampleOfTheReadmeBuysAndItsFragmentsCompile(@TempDir Path folder) throws IOException, InterruptedException {
        Stack stack = Stack.running();
        List<String> blocks = JAVA.matcher(Files.readString(Path.of("README.md")))
                .results()
                .map(block -> block.group(1))
                .toList();
        String address = "127.0.0.1:50051";
        assertTrue(blocks.get(0).contains(address));
        Files.writeString(folder.resolve("Quickstart.java"), blocks.get(0).replace(address, stack.address()));
        assertEquals(3, blocks.size());
        for (int number = 1; number < blocks.size(); number++) {
            Files.writeString(
                    folder.resolve("Fragment" + number + ".java"), FRAGMENT.formatted(number, blocks.get(number)));
        }
        compile(folder);

        List<String> output = new ArrayList<>();
        Process program = java(folder + File.pathSeparator + CLASS_PATH, "Quickstart");
        try (BufferedReader lines = program.inputReader()) {
            lines.lines().forEach(output::add);
        }
        String whole = String.join("\n", output);
        assertEquals(0, program.waitFor(), whole);
        assertTrue(output.contains("AAPL bid 230.00"), whole);
        assertTrue(whole.contains("accepted {"), whole);
    }

    @Test
    void theBracketOrderIsFollowedToItsEnd() throws IOException, InterruptedException {
        Stack stack = Stack.running();
        List<String> output = new ArrayList<>();
        Process program = java(CLASS_PATH, BracketOrder.class.getName(), stack.address(), stack.apiKey());
        try (BufferedReader lines = program.inputReader()) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                output.add(line);
                if (line.equals("ORDER_TYPE_LIMIT ORDER_STATUS_FILLED")) {
                    stack.quote(APPLE, "232.10", "232.12");
                }
            }
        } finally {
            stack.quote(APPLE, "230.00", "230.02");
        }
        String whole = String.join("\n", output);
        assertEquals(0, program.waitFor(), whole);
        assertEquals("AAPL is offered at 230.02", output.get(0));
        assertTrue(whole.contains("fill B 1.0 at 230.02"), whole);
        assertTrue(whole.contains("ORDER_TYPE_STOP ORDER_STATUS_PRE_SUBMITTED"), whole);
        assertTrue(output.get(output.size() - 1).startsWith("closed at 232."), whole);
    }

    private static void compile(Path folder) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StringWriter complaints = new StringWriter();
        try (var files = compiler.getStandardFileManager(null, null, null);
                Stream<Path> sources = Files.list(folder)) {
            var options = List.of("-cp", CLASS_PATH, "-d", folder.toString(), "-proc:none", "-Xlint:all", "-Werror");
            var units = files.getJavaFileObjectsFromPaths(sources.toList());
            assertTrue(compiler.getTask(complaints, files, null, options, null, units).call(), complaints::toString);
        }
    }

    private static Process java(String classPath, String... arguments) throws IOException {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        List<String> command = new ArrayList<>(List.of(java, "-XX:TieredStopAtLevel=1", "-cp", classPath));
        command.addAll(List.of(arguments));
        return new ProcessBuilder(command).redirectErrorStream(true).start();
    }
}
