// An SQS-compatible server in a process of its own, so that its CPU time is not the client's. Prints its endpoint in
// the first line on stdout, and for each line on stdin the number of requests since the last one.
import { createInterface } from 'node:readline'
import { buildApp } from 'fauxqs'

let requests = 0
const app = buildApp({ logger: false })
app.addHook('onRequest', async () => {
  requests++
})
console.log(await app.listen({ port: 0, host: '127.0.0.1' }))
createInterface({ input: process.stdin })
  .on('line', () => {
    console.log(requests)
    requests = 0
  })
  // Its parent has ended.
  .on('close', () => process.exit())
