import com.posthog.server.PostHog;
import com.posthog.server.PostHogCaptureOptions;
import com.posthog.server.PostHogConfig;
import com.posthog.server.PostHogInterface;
import java.io.IOException;
import java.util.Map;

/**
 * Send HOST TOKEN story|COUNT: sends events with posthog-server until its standard input ends. The
 * SDK does not report what it loses.
 */
class Send {
  public static void main(String[] arguments) throws IOException {
    String host = arguments[0];
    String token = arguments[1];
    int count = arguments[2].equals("story") ? 0 : Integer.parseInt(arguments[2]);
    PostHogInterface posthog =
        PostHog.with(
            PostHogConfig.builder(token)
                .host(host)
                .preloadFeatureFlags(false)
                .remoteConfig(false)
                .flushAt(count == 0 ? 20 : count)
                .flushIntervalSeconds(1)
                .build());
    if (count == 0) {
      for (String name : new String[] {"www", "app"}) {
        posthog.capture("ada", "seen", seen(name + ".example.com"));
      }
      posthog.capture(
          "ada", "grouped", PostHogCaptureOptions.builder().group("company", "c1").build());
      posthog.identify("ada", Map.of("email", "ada@example.com"));
      posthog.alias("ada", "countess");
      posthog.group("ada", "company", "c1", Map.of("size", 3));
    }
    for (int index = 0; index < count; index++) posthog.capture("ada", "seen " + index);
    System.in.readAllBytes();
    posthog.flush();
    posthog.close();
    System.out.println("{\"lost\":null}");
    System.exit(0);
  }

  private static PostHogCaptureOptions seen(String host) {
    return PostHogCaptureOptions.builder()
        .property("$host", host)
        .property("n", 1.5)
        .property("plan", "free")
        .build();
  }
}
