/** Warns that `maxAttempts` has no effect in a queue without dead letters. */
import type { Backend } from '../backend/backend.js'

const warned = new WeakSet<Backend>()

/** Warns once for each open queue. Never rejects. */
export async function warnOfNoDeadLetters(backend: Backend, maxAttempts: number): Promise<void> {
  if (warned.has(backend)) return
  warned.add(backend)
  // If the backend doesn't say, the worker assumes that it has no policy.
  const own = await backend.ownMaxAttempts?.().catch(() => undefined)
  const what =
    own === undefined
      ? 'a task that fails is tried again without limit'
      : `a task that failed ${own} times is left to the queue's own policy, which moves it after as many attempts more`
  process.emitWarning(
    `${backend.label} has no place for dead letters that a worker knows of, so maxAttempts (${maxAttempts}) has no effect: ` +
      `${what}. To have such tasks moved, pass the URL of a queue as \`deadLetter\``,
    { type: 'PtqWarning', code: 'PTQ_NO_DEAD_LETTERS' },
  )
}
