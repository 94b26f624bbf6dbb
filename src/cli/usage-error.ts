/** A command that can't be what was meant, or that this queue can't do: nothing was changed. The exit code is 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
