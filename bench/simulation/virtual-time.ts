/**
 * Time that passes only in the simulation. Replaces the globals from which the library reads time, so its own code
 * waits, renews and backs off by this clock, and hours pass in seconds. Import it before the library.
 */

const realSetImmediate = globalThis.setImmediate

/** Any moment, as long as it is the same in each run. Milliseconds since 1970. */
const EPOCH_MS = 1_800_000_000_000

interface Event {
  readonly atMs: number
  /** Orders events of the same moment: first in, first out. */
  readonly order: number
  run: (() => void) | undefined
}

let nowMs = 0
let order = 0
/** Callbacks of `setImmediate` that have not run: the current moment has not ended. */
let immediates = 0
/** A binary heap, the next event first. */
const events: Event[] = []

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

function push(event: Event): void {
  let at = events.length
  while (at > 0) {
    const parentAt = (at - 1) >> 1
    const parent = events[parentAt]
    if (parent === undefined || isBefore(parent, event)) break
    events[at] = parent
    at = parentAt
  }
  events[at] = event
}

function pop(): Event | undefined {
  const first = events[0]
  const last = events.pop()
  if (last === undefined || first === last) return first
  let at = 0
  for (;;) {
    const left = events[2 * at + 1]
    const right = events[2 * at + 2]
    if (left === undefined) break
    const isLeft = right === undefined || isBefore(left, right)
    const child = isLeft ? left : right
    if (isBefore(last, child)) break
    events[at] = child
    at = 2 * at + (isLeft ? 1 : 2)
  }
  events[at] = last
  return first
}

/** Virtual milliseconds since the start. */
export function virtualMs(): number {
  return nowMs
}

/** Calls `run` at a moment, now or later. */
export function at(atMs: number, run: () => void): Event {
  const event: Event = { atMs: Math.max(atMs, nowMs), order: order++, run }
  push(event)
  return event
}

/** Resolves after virtual time. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise(resolve => {
    at(nowMs + milliseconds, resolve)
  })
}

/** A timer of the simulation. `ref` and `unref` mean nothing: what ends the simulation is {@link runUntil}. */
class VirtualTimer {
  #event: Event

  constructor(milliseconds: number, again: boolean, run: () => void) {
    const ring = () => {
      if (again) this.#event = at(nowMs + milliseconds, ring)
      run()
    }
    this.#event = at(nowMs + milliseconds, ring)
  }

  clear(): void {
    this.#event.run = undefined
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}

function clear(timer: unknown): void {
  if (timer instanceof VirtualTimer) timer.clear()
}

/** Maximum number of turns of the real event loop without an event: modules may still be loading. */
const REAL_TURNS = 1_000_000

/** Advances time until `over` returns true. */
export function runUntil(over: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let emptyTurns = 0
    const step = () => {
      try {
        // Work that follows from the last event is still running.
        if (immediates > 0) {
          realSetImmediate(step)
          return
        }
        if (over()) return resolve()
        let event = pop()
        while (event !== undefined && event.run === undefined) event = pop()
        if (event !== undefined) {
          emptyTurns = 0
          nowMs = event.atMs
          event.run?.()
        } else if (emptyTurns++ > REAL_TURNS) throw new Error('Expected something to happen, but all wait')
        realSetImmediate(step)
      } catch (error) {
        reject(error)
      }
    }
    realSetImmediate(step)
  })
}

const virtual = {
  setTimeout: (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
    new VirtualTimer(ms, false, () => run(...args)),
  setInterval: (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
    new VirtualTimer(ms, true, () => run(...args)),
  clearTimeout: clear,
  clearInterval: clear,
  setImmediate(run: (...args: unknown[]) => void, ...args: unknown[]) {
    immediates++
    return realSetImmediate(() => {
      immediates--
      run(...args)
    })
  },
}

Object.assign(globalThis, virtual)
performance.now = virtualMs
Date.now = () => EPOCH_MS + nowMs

/** The filesystem's clock, which is the hosts' too. Milliseconds since 1970. */
export const filesystemMs = (): number => EPOCH_MS + nowMs
