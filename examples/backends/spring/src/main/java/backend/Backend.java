package backend;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.core.io.*;
import org.springframework.http.*;
import org.springframework.web.bind.annotation.*;
import org.springframework.web.client.RestClient;

import static java.nio.charset.StandardCharsets.UTF_8;

/**
 * A back end of Hocket in Java with Spring. README.md in the folder of all back ends says how to run it. Who the visitor is
 * comes from your login (a Principal); this example believes the parameter user.
 */
@SpringBootApplication(proxyBeanMethods = false)
@RestController
public class Backend {
	private static final Map<String, List<String>> CAPABILITIES = Map.of("chat:*", List.of("subscribe", "publish"));
	private static final Duration HOUR = Duration.ofHours(1);

	@Value("${HOCKET_URL}") private String url;
	@Value("${HOCKET_API_KEY}") private String apiKey;
	@Value("${HOCKET_TOKEN_SECRET}") private String tokenSecret;
	@Value("${HOCKET_HOOK_SECRET}") private String hookSecret;

	private final RestClient http = RestClient.create();
	private final ObjectMapper json = new ObjectMapper();

	public static void main(String[] args) {
		SpringApplication.run(Backend.class, args);
	}

	@GetMapping(path = "/", produces = "text/html")
	Resource page() {
		return new FileSystemResource("../page.html");
	}

	@GetMapping(path = "/ticket", produces = "text/plain")
	String ticket(@RequestParam String user) {
		return api("tickets", Map.of("user", user, "capabilities", CAPABILITIES)).get("ticket").asText();
	}

	@GetMapping(path = "/token", produces = "text/plain")
	ResponseEntity<String> token(@RequestParam String user) throws Exception {
		long expires = System.currentTimeMillis() / 1000 + HOUR.toSeconds();
		String token = sign(Map.of("sub", user, "exp", expires, "capabilities", CAPABILITIES));
		ResponseCookie cookie = ResponseCookie.from("__Host-hocket_session", token)
			.maxAge(HOUR).path("/").httpOnly(true).secure(true).sameSite("Strict").build();
		return ResponseEntity.ok().header(HttpHeaders.SET_COOKIE, cookie.toString()).body(token);
	}

	@PostMapping("/say")
	@ResponseStatus(HttpStatus.NO_CONTENT)
	void say(@RequestParam String user, @RequestBody JsonNode said) {
		api("publish", Map.of("channel", "chat:lobby", "payload", Map.of("from", user, "text", said.path("text").asText())));
	}

	@PostMapping("/hook")
	ResponseEntity<?> hook(@RequestHeader(name = "Hocket-Timestamp", defaultValue = "") String timestamp,
			@RequestHeader(name = "Hocket-Signature", defaultValue = "") String signatures,
			@RequestBody byte[] body) throws Exception {
		if (!fromHocket(timestamp, signatures, body)) {
			return ResponseEntity.status(HttpStatus.UNAUTHORIZED).body("not signed by Hocket");
		}
		JsonNode asked = json.readTree(body);
		String hook = asked.path("hook").asText();
		if (hook.equals("subscribe") && asked.path("channel").asText().equals("chat:staff")) {
			return ResponseEntity.ok(Map.of("deny", Map.of("code", 10001, "name", "staff_only", "message", "this room is for the staff")));
		}
		if (hook.equals("publish")) {
			String text = asked.path("payload").path("text").asText().replace("darn", "d**n");
			return ResponseEntity.ok(Map.of("allow", true, "payload", Map.of("from", asked.path("user").asText(), "text", text)));
		}
		return ResponseEntity.ok(Map.of("allow", true));
	}

	private boolean fromHocket(String timestamp, String signatures, byte[] body) throws GeneralSecurityException {
		if (!timestamp.matches("[0-9]{1,15}") || Math.abs(System.currentTimeMillis() - Long.parseLong(timestamp)) > 300_000) {
			return false;
		}
		byte[] want = ("v1=" + HexFormat.of().formatHex(hmac(hookSecret, (timestamp + ".").getBytes(UTF_8), body))).getBytes(UTF_8);
		return Arrays.stream(signatures.split(",")).anyMatch(have -> MessageDigest.isEqual(want, have.strip().getBytes(UTF_8)));
	}

	/** A JSON Web Token, HS256 (RFC 7515). */
	private String sign(Map<String, ?> claims) throws Exception {
		var base64url = Base64.getUrlEncoder().withoutPadding();
		String text = base64url.encodeToString("{\"alg\":\"HS256\",\"typ\":\"JWT\"}".getBytes(UTF_8)) + "."
			+ base64url.encodeToString(json.writeValueAsBytes(claims));
		return text + "." + base64url.encodeToString(hmac(tokenSecret, text.getBytes(UTF_8)));
	}

	private static byte[] hmac(String secret, byte[]... parts) throws GeneralSecurityException {
		Mac mac = Mac.getInstance("HmacSHA256");
		mac.init(new SecretKeySpec(secret.getBytes(UTF_8), "HmacSHA256"));
		for (byte[] part : parts) mac.update(part);
		return mac.doFinal();
	}

	/** Calls a method of Hocket and returns its result. */
	private JsonNode api(String method, Map<String, ?> params) {
		return http.post().uri(url + "/api/v1/" + method).header(HttpHeaders.AUTHORIZATION, "Bearer " + apiKey)
			.contentType(MediaType.APPLICATION_JSON).body(params).retrieve().body(JsonNode.class).get("result");
	}
}
