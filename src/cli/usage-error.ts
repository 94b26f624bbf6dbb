/** A command that is invalid, or that this queue doesn't support: nothing was changed. The exit code is 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
