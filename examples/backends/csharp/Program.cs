// A back end of Hocket in C# with ASP.NET Core. README.md in the folder above says how to run it. Who the visitor is comes
// from your login (HttpContext.User); this example believes the parameter user.
using System.Buffers.Text;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

var capabilities = new Dictionary<string, string[]> { ["chat:*"] = ["subscribe", "publish"] };
var hour = TimeSpan.FromHours(1);
var tokenSecret = Encoding.UTF8.GetBytes(Env("HOCKET_TOKEN_SECRET"));
var hookSecret = Encoding.UTF8.GetBytes(Env("HOCKET_HOOK_SECRET"));
using var hocket = new HttpClient { BaseAddress = new Uri(Env("HOCKET_URL")), Timeout = TimeSpan.FromSeconds(10) };
hocket.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Env("HOCKET_API_KEY"));

var app = WebApplication.CreateBuilder(args).Build();

app.MapGet("/", () => Results.Content(File.ReadAllText("../page.html"), "text/html"));

app.MapGet("/ticket", async (string user) =>
{
    var made = await Api("tickets", new { user, capabilities });
    return Results.Text(made.GetProperty("ticket").GetString());
});

app.MapGet("/token", (string user, HttpResponse response) =>
{
    var token = Sign(new { sub = user, exp = DateTimeOffset.UtcNow.Add(hour).ToUnixTimeSeconds(), capabilities });
    response.Cookies.Append("__Host-hocket_session", token, new CookieOptions
    {
        MaxAge = hour, Path = "/", HttpOnly = true, Secure = true, SameSite = SameSiteMode.Strict,
    });
    return Results.Text(token);
});

app.MapPost("/say", async (string user, Said said) =>
{
    await Api("publish", new { channel = "chat:lobby", payload = new { from = user, text = said.Text } });
    return Results.NoContent();
});

app.MapPost("/hook", async (HttpRequest request) =>
{
    using var buffer = new MemoryStream();
    await request.Body.CopyToAsync(buffer);
    var body = buffer.ToArray();
    if (!FromHocket(request.Headers, body)) return Results.Text("not signed by Hocket", statusCode: 401);
    using var document = JsonDocument.Parse(body);
    var asked = document.RootElement;
    switch (asked.GetProperty("hook").GetString())
    {
        case "subscribe" when asked.GetProperty("channel").GetString() == "chat:staff":
            return Results.Json(new { deny = new { code = 10001, name = "staff_only", message = "this room is for the staff" } });
        case "publish":
            var text = asked.GetProperty("payload").GetProperty("text").GetString()!.Replace("darn", "d**n");
            return Results.Json(new { allow = true, payload = new { from = asked.GetProperty("user").GetString(), text } });
        default:
            return Results.Json(new { allow = true });
    }
});

app.Run($"http://127.0.0.1:{Env("PORT")}");

bool FromHocket(IHeaderDictionary headers, byte[] body)
{
    var timestamp = headers["Hocket-Timestamp"].ToString();
    if (!long.TryParse(timestamp, out var ms)) return false;
    if (Math.Abs((double)DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() - ms) > 300_000) return false;
    byte[] signed = [.. Encoding.UTF8.GetBytes(timestamp + "."), .. body];
    var want = Encoding.UTF8.GetBytes("v1=" + Convert.ToHexStringLower(HMACSHA256.HashData(hookSecret, signed)));
    return headers["Hocket-Signature"].ToString().Split(',')
        .Any(have => CryptographicOperations.FixedTimeEquals(want, Encoding.UTF8.GetBytes(have.Trim())));
}

// A JSON Web Token, HS256 (RFC 7515).
string Sign(object claims)
{
    var header = Base64Url.EncodeToString("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"u8);
    var text = header + "." + Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(claims));
    return text + "." + Base64Url.EncodeToString(HMACSHA256.HashData(tokenSecret, Encoding.UTF8.GetBytes(text)));
}

// Calls a method of Hocket and returns its result.
async Task<JsonElement> Api(string method, object parameters)
{
    using var response = await hocket.PostAsJsonAsync("/api/v1/" + method, parameters);
    response.EnsureSuccessStatusCode();
    return (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("result");
}

static string Env(string name) => Environment.GetEnvironmentVariable(name) ?? throw new InvalidOperationException($"{name} is not set");

record Said(string Text);
