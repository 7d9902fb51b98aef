// A server on Node with the package ws, as its documentation shows one. It takes the same
// flags as the others (-addr, -compress); WS_FROM names the package.json beside whose
// node_modules the package is found.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'

const { WebSocketServer, WebSocket } = createRequire(resolve(process.env.WS_FROM))('ws')

const flags = process.argv.slice(2)
const compress = flags.includes('-compress')
const [host, port] = flags[flags.indexOf('-addr') + 1].split(':')

const rooms = new Map() // name to set of sockets
const wss = new WebSocketServer({
  noServer: true,
  perMessageDeflate: compress && { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 512 },
})

function members(room) {
  if (!rooms.has(room)) rooms.set(room, new Set())
  return rooms.get(room)
}

const roles = {
  '/echo': (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  },
  '/sub': (socket, room) => {
    members(room).add(socket)
    socket.on('close', () => members(room).delete(socket))
    socket.send('ready')
  },
  '/pub': (socket, room) => {
    socket.on('message', (data, binary) => {
      for (const client of members(room)) {
        if (client.readyState === WebSocket.OPEN) client.send(data, { binary })
      }
    })
  },
}

const server = createServer()
server.on('upgrade', (request, tcp, head) => {
  const url = new URL(request.url, 'http://localhost')
  const role = roles[url.pathname]
  if (role === undefined) return tcp.destroy()
  wss.handleUpgrade(request, tcp, head, (socket) => {
    socket.on('error', () => {}) // clients of the benchmark end with a reset
    role(socket, url.searchParams.get('room') ?? '')
  })
})
server.listen(Number(port), host, () => {
  const at = server.address()
  console.log(`${at.address}:${at.port}`)
})
