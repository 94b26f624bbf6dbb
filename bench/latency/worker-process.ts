// A worker that waits for tasks until it is disconnected: node worker-process.js URL
import { poll } from './worker.js'

const [url = ''] = process.argv.slice(2)
const stop = new AbortController()
process.on('disconnect', () => stop.abort())
await poll(url, stop.signal)
