// Loaded with --import: the wall clock of this process jumps by a minute, back or forward, now and then.
const STEPS_MS = [-60_000, 0, 60_000]

/** The mean time between two steps. */
const EVERY_MS = 2_000

const realNow = Date.now
let offsetMs = 0
let nextMs = 0

Date.now = () => {
  if (performance.now() >= nextMs) {
    nextMs = performance.now() + Math.random() * 2 * EVERY_MS
    offsetMs = STEPS_MS[Math.floor(Math.random() * STEPS_MS.length)] ?? 0
  }
  return realNow() + offsetMs
}
