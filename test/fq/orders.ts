import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Counts } from '#ptq/backend/backend.js'

/** Commands of a test to a process with its queue. */
export type Order =
  | { verb: 'work'; count: number; batch: number; log: string }
  | { verb: 'act at random'; folder: string; log: string }
  | { verb: 'insert'; count: number; delaySeconds: number }
  | { verb: 'lease'; max: number; seconds: number }
  | { verb: 'count'; which: keyof Counts }
  | { verb: 'addInserted'; count: number; times: number }
  | { verb: 'close' }

export type Answer = { value: number } | { error: string }

/** Starts a process that has the queue at `root` open. `hostSkewSeconds` sets the clock of its host wrong. */
export async function startProcess(root: string, { hostSkewSeconds = 0 } = {}) {
  const skew = `const right = Date.now; Date.now = () => right() + ${hostSkewSeconds * 1000}`
  const child = fork(join(import.meta.dirname, 'process.js'), [root], {
    execArgv: ['--import', `data:text/javascript,${encodeURIComponent(skew)}`],
  })
  const answer = async (): Promise<number> => {
    const [reply] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code, signal]) => [{ error: `the process ended: ${code ?? signal}` }]),
    ])) as [Answer]
    if ('error' in reply) throw new Error(reply.error)
    return reply.value
  }
  await answer()
  return {
    ask(order: Order): Promise<number> {
      child.send(order)
      return answer()
    },
    async kill(): Promise<void> {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
    async [Symbol.asyncDispose](): Promise<void> {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      if (child.connected) child.send({ verb: 'close' } satisfies Order)
      await ended
    },
  }
}
