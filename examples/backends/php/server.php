<?php
// A back end of Hocket in PHP, without any package. README.md in the folder above says how to run it.
declare(strict_types=1);

const CAPABILITIES = ['chat:*' => ['subscribe', 'publish']];
const HOUR = 3600; // seconds

/** Where your login goes: this example believes what it is told. */
function visitor(): string
{
    return $_GET['user'] ?? '';
}

function ticket(): void
{
    text(api('tickets', ['user' => visitor(), 'capabilities' => CAPABILITIES])['ticket']);
}

function token(): void
{
    $expires = time() + HOUR;
    $token = sign(['sub' => visitor(), 'exp' => $expires, 'capabilities' => CAPABILITIES]);
    setcookie('__Host-hocket_session', $token, [
        'expires' => $expires, 'path' => '/', 'secure' => true, 'httponly' => true, 'samesite' => 'Strict',
    ]);
    text($token);
}

function say(): void
{
    $said = json_decode(body(), true, flags: JSON_THROW_ON_ERROR);
    api('publish', ['channel' => 'chat:lobby', 'payload' => ['from' => visitor(), 'text' => $said['text']]]);
    http_response_code(204);
}

function hook(): void
{
    $body = body();
    if (!from_hocket($body)) {
        text('not signed by Hocket', 401);
        return;
    }
    $asked = json_decode($body, true, flags: JSON_THROW_ON_ERROR);
    $answer = ['allow' => true];
    if ($asked['hook'] === 'subscribe' && $asked['channel'] === 'chat:staff') {
        $answer = ['deny' => ['code' => 10001, 'name' => 'staff_only', 'message' => 'this room is for the staff']];
    } elseif ($asked['hook'] === 'publish') {
        $text = str_replace('darn', 'd**n', (string) $asked['payload']['text']);
        $answer['payload'] = ['from' => $asked['user'], 'text' => $text];
    }
    header('Content-Type: application/json');
    echo json_encode($answer, JSON_THROW_ON_ERROR);
}

function from_hocket(string $body): bool
{
    $timestamp = $_SERVER['HTTP_HOCKET_TIMESTAMP'] ?? '';
    if (!ctype_digit($timestamp) || abs(microtime(true) * 1000 - (float) $timestamp) > 300_000) {
        return false;
    }
    $want = 'v1=' . hash_hmac('sha256', "$timestamp.$body", getenv('HOCKET_HOOK_SECRET'));
    foreach (explode(',', $_SERVER['HTTP_HOCKET_SIGNATURE'] ?? '') as $have) {
        if (hash_equals($want, trim($have))) {
            return true;
        }
    }
    return false;
}

/** A JSON Web Token, HS256 (RFC 7515). */
function sign(array $claims): string
{
    $base64url = fn(string $bytes) => rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    $text = $base64url('{"alg":"HS256","typ":"JWT"}') . '.' . $base64url(json_encode($claims, JSON_THROW_ON_ERROR));
    return $text . '.' . $base64url(hash_hmac('sha256', $text, getenv('HOCKET_TOKEN_SECRET'), true));
}

/** Calls a method of Hocket and returns its result. */
function api(string $method, array $params): array
{
    $answer = file_get_contents(getenv('HOCKET_URL') . '/api/v1/' . $method, false, stream_context_create(['http' => [
        'method' => 'POST', 'timeout' => 10, 'header' => [
            'Authorization: Bearer ' . getenv('HOCKET_API_KEY'), 'Content-Type: application/json',
        ],
        'content' => json_encode($params, JSON_THROW_ON_ERROR),
    ]]));
    if ($answer === false) {
        throw new RuntimeException("hocket: $method failed");
    }
    return json_decode($answer, true, flags: JSON_THROW_ON_ERROR)['result'];
}

function body(): string
{
    return file_get_contents('php://input');
}

function text(string $text, int $status = 200): void
{
    http_response_code($status);
    header('Content-Type: text/plain');
    echo $text;
}

match ($_SERVER['REQUEST_METHOD'] . ' ' . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
    'GET /' => readfile(__DIR__ . '/../page.html'),
    'GET /ticket' => ticket(),
    'GET /token' => token(),
    'POST /say' => say(),
    'POST /hook' => hook(),
    default => text('not found', 404),
};
