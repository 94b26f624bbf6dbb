// The floor of threads: bare Piscina with 256 tasks a message, without registry, payloads, outcomes or limits.
import { join } from 'node:path'
import { Piscina } from 'piscina'
import { numberOf, runCase } from '../case.js'

const CHUNK = 256

/** Chunks waiting for each thread, so that none idles while the main thread creates the next. */
const AHEAD = 4

/** The arguments of each task: what any queue has to send at least. */
function* tasks(n: number) {
  for (let index = 0; index < n; index++) yield [index]
}

await runCase(
  parameters => {
    const threads = numberOf(parameters, 'parallel')
    const filename = join(import.meta.dirname, 'piscina-worker.js')
    const pool = new Piscina({ filename, minThreads: threads, maxThreads: threads })
    return {
      async run(n) {
        const source = tasks(n)
        const loop = async () => {
          for (;;) {
            // Not `for…of`: leaving it would close the generator for the other loops.
            const chunk: number[][] = []
            for (let next = source.next(); !next.done; next = source.next()) {
              if (chunk.push(next.value) === CHUNK) break
            }
            if (chunk.length === 0) return
            await pool.run(chunk, { name: 'many' })
          }
        }
        await Promise.all(Array.from({ length: threads * AHEAD }, loop))
      },
      close: () => pool.destroy(),
    }
  },
  { warmUp: 20_000 },
)
