/** Ends process groups: SIGTERM, then SIGKILL. */
import { setTimeout as sleep } from 'node:timers/promises'

/** Time for the processes of a group to end by themselves after SIGTERM. Milliseconds. */
export const killAfterMs = 5_000

/** After SIGKILL only processes that their parent has not collected remain. Milliseconds. */
const collectMs = 1_000

/** Ends a group. Resolves when no process of it is left. */
export async function endGroup(pid: number): Promise<void> {
  if (!signalGroup(pid, 'SIGTERM')) return
  if (await isGone(pid, killAfterMs)) return
  signalGroup(pid, 'SIGKILL')
  await isGone(pid, collectMs)
}

async function isGone(pid: number, withinMs: number): Promise<boolean> {
  const endMs = performance.now() + withinMs
  for (let pauseMs = 5; signalGroup(pid, 0); pauseMs = Math.min(2 * pauseMs, 100)) {
    if (performance.now() > endMs) return false
    await sleep(pauseMs)
  }
  return true
}

/** False where the group has no process. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch (error) {
    // EPERM: there are processes, which have become another user's (sudo).
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
