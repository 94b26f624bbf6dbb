/** Errors that no running task can be blamed for. */

/** Warns of one, by `process.emitWarning`. */
export function warnOfStray(taskId: string | undefined, error: unknown): void {
  const whose = taskId === undefined ? 'Code that belongs to no task' : `Task ${taskId}, after its end,`
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
  process.emitWarning(`${whose} threw in a pool thread: ${error instanceof Error ? error.message : String(error)}`, {
    detail,
  })
}
