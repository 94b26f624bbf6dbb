/** The sink, in a process of its own, so that its CPU time is not the client's. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

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

export async function startSink(): Promise<Sink> {
  const child = fork(join(import.meta.dirname, 'sink.js'), { serialization: 'advanced' })
  const [port] = await once(child, 'message')
  return {
    endpoint: `http://127.0.0.1:${port}`,
    async received() {
      const answer = once(child, 'message')
      child.send('received')
      return (await answer)[0]
    },
    close: () => child.disconnect(),
  }
}

/** What every client needs; the sink accepts any key. */
export const ACCESS = {
  region: 'us-east-1',
  credentials: { accessKeyId: 'AKIABENCH', secretAccessKey: 'bench-secret' },
} as const
