// Tasks for the tests of single calls and maps.
import { context, move, queueable } from 'ptq'

export const double = queueable((n: number) => n * 2, { name: 'double' })

export const sizeOf = queueable(function sizeOf(bytes: Uint8Array) {
  return bytes.byteLength
})

export const yearOf = queueable(function yearOf(date: Date) {
  return date.getUTCFullYear()
})

export const failFrom = queueable(function failFrom(first: number, n: number) {
  if (n >= first) throw new RangeError(`no ${n}`)
  return n
})

export const throwPlain = queueable(function throwPlain(_text: string) {
  throw { code: 5 }
})

export const moving = queueable(function moving(kind: 'all' | 'part') {
  const bytes = new Uint8Array(64)
  const value = move({ bytes: kind === 'all' ? bytes : bytes.subarray(1) })
  setImmediate(() => Atomics.store(left, 0, bytes.byteLength))
  return value
})

const left = new Int32Array(1)

/** Bytes that {@link moving} left in this thread. */
export const leftBehind = queueable(async function leftBehind() {
  await new Promise(resolve => setImmediate(resolve))
  return Atomics.load(left, 0)
})

/** Signals its start in `state`, and ends only on abort. */
export const untilAborted = queueable(async function untilAborted(state: Int32Array) {
  const { signal } = context()
  Atomics.store(state, 0, 1)
  while (!signal.aborted) await new Promise(resolve => setImmediate(resolve))
})

export const spin = queueable(function spin() {
  for (;;);
})
