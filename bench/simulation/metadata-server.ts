/** The server of the simulated filesystem: each request takes its latency, and so many are answered in a second at most. */
import { virtualMs } from './virtual-time.js'

/** Kinds of calls of the file queue. */
export type CallKind = 'rename' | 'unlink' | 'read' | 'write' | 'stat' | 'list' | 'clock' | 'folder'

/** The purpose of a call: the tasks, or the workers' status files. */
export type Purpose = 'tasks' | 'status'

export class MetadataServer {
  readonly #latencyMs: number
  readonly #perRequestMs: number
  #busyUntilMs = 0
  readonly calls = new Map<string, number>()
  requests = 0
  statusRequests = 0
  namesListed = 0
  renames = 0
  lostRenames = 0
  #second = 0
  #inSecond = 0
  peakPerSecond = 0

  /** @param requestsPerSecond how many it can answer; Infinity: as many as come */
  constructor(options: { latencyMs: number; requestsPerSecond: number }) {
    this.#latencyMs = options.latencyMs
    this.#perRequestMs = 1000 / options.requestsPerSecond
  }

  /** Counts a call of `requests` sequential requests, and returns when the last is answered. Virtual milliseconds. */
  answeredMs(kind: CallKind, requests: number, purpose: Purpose): number {
    const nowMs = virtualMs()
    this.calls.set(kind, (this.calls.get(kind) ?? 0) + 1)
    this.requests += requests
    if (purpose === 'status') this.statusRequests += requests
    const second = Math.floor(nowMs / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#inSecond = 0
    }
    this.#inSecond += requests
    this.peakPerSecond = Math.max(this.peakPerSecond, this.#inSecond)
    this.#busyUntilMs = Math.max(nowMs, this.#busyUntilMs) + requests * this.#perRequestMs
    // Answers take different times: half to one and a half of the latency.
    return Math.max(this.#busyUntilMs, nowMs) + requests * this.#latencyMs * (0.5 + Math.random())
  }
}
