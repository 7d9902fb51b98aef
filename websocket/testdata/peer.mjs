// A peer made of the ws package, for peers_test.go:
//
//	node peer.mjs serve OPTIONS        prints "port N" and echoes whatever comes
//	node peer.mjs dial OPTIONS URL     sends messages of many sizes, prints "ok EXTENSIONS" once all came back
//
// OPTIONS is the JSON of perMessageDeflate. WS_FROM is a file beside whose node_modules ws is found.
import { createRequire } from 'node:module'

const { WebSocket, WebSocketServer } = createRequire(process.env.WS_FROM)('ws')
const [what, options, url] = process.argv.slice(2)
const perMessageDeflate = JSON.parse(options)
const maxPayload = 64 << 20

if (what === 'serve') {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate, maxPayload })
  server.on('listening', () => console.log(`port ${server.address().port}`))
  server.on('connection', (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }))
    socket.on('error', (err) => console.log(`error ${err.message}`))
  })
} else {
  const words = 'the hocket is a melody shared between voices: während one singt, the other schweigt … 楽譜 '
  const messages = [0, 1, 100, 511, 512, 1000, 5000, 5000, 70000, 300000].map((n) => words.repeat(n / words.length + 1).slice(0, n))
  const socket = new WebSocket(url, { perMessageDeflate, maxPayload })
  let next = 0
  const send = () => {
    if (next === messages.length * 2) return socket.close(1000, 'done')
    const text = messages[next % messages.length]
    socket.send(next < messages.length ? text : Buffer.from(text))
  }
  socket.on('open', send)
  socket.on('message', (data, binary) => {
    if (data.toString() !== messages[next % messages.length] || binary !== next >= messages.length) throw new Error(`message ${next} came back wrong`)
    next++
    send()
  })
  socket.on('close', (code) => {
    if (code !== 1000 || next !== messages.length * 2) throw new Error(`closed with ${code} after ${next} messages`)
    console.log(`ok ${socket.extensions}`)
  })
}
