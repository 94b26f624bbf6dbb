/** A server in a process of its own, so that its CPU time is not the client's. The protocol is lines of text. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface LineProcess {
  /** E.g. `http://127.0.0.1:40123`. */
  readonly endpoint: string
  /** Its report since the last call. */
  ask(): Promise<string>
  close(): void
}

/** @param program a file of this folder that prints its endpoint first, and answers each line with one */
export async function startLineProcess(program: string, args: readonly string[] = []): Promise<LineProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, program), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  const nextLine = async () => String((await once(lines, 'line'))[0])
  return {
    endpoint: await nextLine(),
    ask() {
      const answer = nextLine()
      child.stdin.write('\n')
      return answer
    },
    close: () => void child.stdin.end(),
  }
}

/** Settings that every client needs; the servers accept any key. */
export const ACCESS = {
  region: 'us-east-1',
  credentials: { accessKeyId: 'AKIABENCH', secretAccessKey: 'bench-secret' },
} as const
