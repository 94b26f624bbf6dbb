/** The sink, as its clients start it. */
import { startLineProcess } from './line-process.js'

/** What came since the last question. */
export interface Received {
  /** The number of each task. */
  readonly numbers: number[]
  readonly firstAtMs: number
}

export interface Sink {
  readonly endpoint: string
  received(): Promise<Received>
  close(): void
}

/** @param options.checksums it confirms with the checksums that plain clients ask for. Default false */
export async function startSink({ checksums = false } = {}): Promise<Sink> {
  const { endpoint, ask, close } = await startLineProcess('sink.js', checksums ? ['--md5'] : [])
  return { endpoint, close, received: async () => JSON.parse(await ask()) }
}
