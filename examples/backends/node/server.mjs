// A back end of Hocket in Node, with nothing but what Node has. README.md in the folder above says how to run it.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { PORT, HOCKET_URL, HOCKET_API_KEY, HOCKET_TOKEN_SECRET, HOCKET_HOOK_SECRET } = process.env
const capabilities = { 'chat:*': ['subscribe', 'publish'] }
const hour = 3600 // seconds
const maxBody = 1 << 20 // bytes

/** Where your login goes: this example believes what it is told. */
const visitor = (request) => new URL(request.url, 'http://localhost').searchParams.get('user')

const routes = {
  'GET /': () => ({ type: 'text/html', body: readFileSync('../page.html') }),

  'GET /ticket': async (request) => ({ body: (await api('tickets', { user: visitor(request), capabilities })).ticket }),

  'GET /token': (request) => {
    const token = sign({ sub: visitor(request), exp: Math.floor(Date.now() / 1000) + hour, capabilities })
    const cookie = `__Host-hocket_session=${token}; Max-Age=${hour}; Path=/; HttpOnly; Secure; SameSite=Strict`
    return { body: token, headers: { 'Set-Cookie': cookie } }
  },

  'POST /say': async (request) => {
    const { text } = JSON.parse(await read(request))
    await api('publish', { channel: 'chat:lobby', payload: { from: visitor(request), text } })
    return { status: 204 }
  },

  'POST /hook': async (request) => {
    const body = await read(request)
    if (!fromHocket(request.headers, body)) return { status: 401, body: 'not signed by Hocket' }
    return { type: 'application/json', body: JSON.stringify(answer(JSON.parse(body))) }
  },
}

function answer({ hook, user, channel, payload }) {
  if (hook === 'subscribe' && channel === 'chat:staff') {
    return { deny: { code: 10001, name: 'staff_only', message: 'this room is for the staff' } }
  }
  if (hook === 'publish') {
    return { allow: true, payload: { from: user, text: String(payload?.text).replaceAll('darn', 'd**n') } }
  }
  return { allow: true }
}

function fromHocket(headers, body) {
  const timestamp = headers['hocket-timestamp'] ?? ''
  if (!(Math.abs(Date.now() - Number(timestamp)) < 300_000)) return false
  const want = Buffer.from('v1=' + createHmac('sha256', HOCKET_HOOK_SECRET).update(`${timestamp}.`).update(body).digest('hex'))
  const signatures = (headers['hocket-signature'] ?? '').split(',').map((s) => Buffer.from(s.trim()))
  return signatures.some((have) => have.length === want.length && timingSafeEqual(have, want))
}

/** A JSON Web Token, HS256 (RFC 7515). */
function sign(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${text}.${createHmac('sha256', HOCKET_TOKEN_SECRET).update(text).digest('base64url')}`
}

/** Calls a method of Hocket and gives its result. */
async function api(method, params) {
  const response = await fetch(`${HOCKET_URL}/api/v1/${method}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${HOCKET_API_KEY}` },
    body: JSON.stringify(params),
  })
  if (!response.ok) throw new Error(`hocket: ${method}: ${response.status}`)
  return (await response.json()).result
}

async function read(request) {
  const chunks = []
  let length = 0
  for await (const chunk of request) {
    length += chunk.length
    if (length > maxBody) throw new Error('the request is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

createServer(async (request, response) => {
  const route = routes[`${request.method} ${request.url.split('?')[0]}`]
  try {
    const { status = 200, type = 'text/plain', headers, body } = route ? await route(request) : { status: 404 }
    response.writeHead(status, { 'Content-Type': type, ...headers }).end(body)
  } catch (error) {
    console.error(error)
    response.writeHead(500).end('something went wrong')
  }
}).listen(PORT, '127.0.0.1')
