/** The sink, as its clients start it. */
import { startLineProcess } from './line-process.js'

/** Messages received since the last report. */
export interface Received {
  /** The number of each task. */
  readonly numbers: number[]
  readonly firstAtMs: number
  /** The number of batches. */
  readonly requests: number
}

export interface Sink {
  readonly endpoint: string
  received(): Promise<Received>
  close(): void
}

/** @param options.checksums confirm with the checksums that plain clients require. Default false */
export async function startSink({ checksums = false } = {}): Promise<Sink> {
  const { endpoint, ask, close } = await startLineProcess('sink.js', checksums ? ['--md5'] : [])
  return { endpoint, close, received: async () => JSON.parse(await ask()) }
}
