// Tasks that report, log and print. Those that end are counted in shared memory, passed as an extra argument.
import { context, queueable } from 'ptq'
import type { Shared } from './tasks.js'

/** Reports all that a task can report, then ends. */
export const report = queueable(function report(index: number) {
  const { progress, log } = context()
  progress(0.5, `half of ${index}`)
  log('line', index)
  progress(1)
  return index
})

/** Reports its progress again after its end, when the event loop turns. */
export const reportLater = queueable(function reportLater() {
  const { progress } = context()
  setImmediate(() => progress(1, 'too late'))
})

/** Logs lines in a synchronous loop, and counts them. */
export const logMany = queueable(function logMany(lines: number, length: number, counts: Shared) {
  const { log } = context()
  for (let line = 0; line < lines; line++) {
    log(String(line).padEnd(length))
    Atomics.add(counts, 0, 1)
    Atomics.notify(counts, 0)
  }
})

/** Reports values that can't be shown. */
export const reportOddly = queueable(function reportOddly() {
  const { progress, log } = context() as unknown as Record<string, (...values: unknown[]) => void>
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  const unreadable = {
    [Symbol.for('nodejs.util.inspect.custom')]() {
      throw new Error('not to be shown')
    },
    toString() {
      throw new Error('not to be read')
    },
  }
  for (const value of [1.0000000000000007, Number.NaN, -1, 'x', undefined, null, proxy, unreadable, Symbol('s'), 2n]) {
    progress?.(value, value)
  }
  progress?.()
  log?.('%s', Symbol('s'), proxy)
  log?.(unreadable)
  log?.('%d', unreadable)
})

/** Prints and logs a hundred lines, then ends its thread, or never ends. */
export const printThen = queueable(async function printThen(what: string) {
  const { log, signal } = context()
  for (let line = 0; line < 100; line++) {
    console.log(`${what} printed ${line}`)
    log(`${what} logged ${line}`)
  }
  console.error(`${what} said`)
  if (what === 'exit') process.exit(3)
  if (what === 'abort') await new Promise(resolve => signal.addEventListener('abort', resolve))
  if (what === 'memory') {
    const kept: unknown[] = []
    for (;;) kept.push(new Array(1000).fill(kept.length))
  }
  for (;;);
})

/** Corks its streams, and prints. */
export const cork = queueable(function cork() {
  process.stdout.cork()
  process.stderr.cork()
  process.stdout.cork()
  console.log('corked')
  console.error('corked too')
})

/** Prints bytes and text of several encodings. */
export const printBytes = queueable(function printBytes() {
  process.stdout.write(Buffer.from('bytes, '))
  process.stdout.write('68657820', 'hex')
  process.stdout.write(new TextEncoder().encode('array '))
  process.stdout.write('übrig\n', 'utf8')
})
