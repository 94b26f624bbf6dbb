/**
 * The code of a pool thread, loaded once by start.cts. `run` runs chunks of tasks, `insert` inserts a slice; what ends or
 * breaks the thread during that is reported for the task that did it.
 */
import { MessageChannel, type MessagePort, parentPort, threadId } from 'node:worker_threads'
import comlink, { type Endpoint } from 'comlink'
import type { SliceMessage, SliceReport } from '../src/bulk-insert/slice-messages.js'
import { sharedCounter } from '../src/threads/send-window.js'
import type { MainMessage, ThreadHello, ThreadHost } from '../src/threads/thread-messages.js'
import { markPoolThread } from '../src/threads/thread-place.js'
import { ThreadLink } from './link.js'
import { sendOutput } from './output.js'
import { reportCrashes } from './report-crashes.js'

export { runChunks as run } from './run-chunks.js'

/** Inserts a slice; see insert.ts, which is loaded where it is used: most threads run tasks only. */
export async function insert(message: SliceMessage): Promise<SliceReport> {
  const { insert } = await import('./insert.js')
  return insert(message)
}

if (parentPort === null) throw new Error('Expected workers/thread.js to be loaded by the pool, in a thread')

markPoolThread()
const messages = new MessageChannel()
const calls = new MessageChannel()
const taken = sharedCounter()
const hello: ThreadHello = { ptqThread: threadId, taken, messages: messages.port2, calls: calls.port2 }
parentPort.postMessage(hello, [messages.port2, calls.port2])

const link = ThreadLink.open(messages.port1, comlink.wrap<ThreadHost>(endpointOf(calls.port1)), taken)
messages.port1.on('message', (message: MainMessage) => {
  try {
    link.receive(message)
  } catch (error) {
    link.crash(error)
  }
})
// Neither port may keep a thread alive that the pool ends.
messages.port1.unref()
calls.port1.unref()
reportCrashes(link)
sendOutput(link)

/**
 * The port with listeners in Node's style. For one in the web's style Node 24 loads its MessageEvent when the first message comes,
 * which fails where a task has deleted a built-in by then.
 */
function endpointOf(port: MessagePort): Endpoint {
  return {
    postMessage: port.postMessage.bind(port),
    // Comlink's only listener, which is never removed.
    addEventListener: (_type, listener) => {
      port.on('message', (data: unknown) => (listener as (event: { data: unknown }) => void)({ data }))
    },
    removeEventListener: () => undefined,
    start: port.start.bind(port),
  }
}
