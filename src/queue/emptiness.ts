/** Decides if a queue is empty. */
import type { Backend } from '../backend/backend.js'
import { UnsupportedOperationError } from '../errors/errors.js'
import { sleep } from '../time/sleep.js'

/**
 * True if the queue holds no message in any state. An approximate zero is read as often, and over as long a time, as
 * the backend requires (`capabilities.emptyConfirmations`).
 *
 * @param signal its abort rejects with its reason
 * @throws UnsupportedOperationError if the backend can't know how many messages it holds
 */
export async function isEmpty(backend: Backend, signal: AbortSignal): Promise<boolean> {
  const { samples, windowSeconds } = backend.capabilities.emptyConfirmations ?? { samples: 1, windowSeconds: 0 }
  for (let sample = 0; sample < samples; sample++) {
    if (sample > 0) await pause(windowSeconds / (samples - 1), signal)
    const { enqueued } = await backend.counts()
    if (Number.isNaN(enqueued)) {
      throw new UnsupportedOperationError(
        `${backend.label} can't tell how many tasks it holds, so not when it is empty`,
      )
    }
    if (enqueued > 0) return false
  }
  return true
}

/** Resolves when {@link isEmpty} is true, checked every `intervalSeconds`. @throws the errors of `isEmpty` */
export async function untilEmpty(backend: Backend, intervalSeconds: number, signal: AbortSignal): Promise<void> {
  while (!(await isEmpty(backend, signal))) await pause(intervalSeconds, signal)
}

async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await sleep(seconds * 1000, signal)
  signal.throwIfAborted()
}
