import type { WorkerStatus } from '#ptq/backend/backend.js'

/** The status of a worker that has done nothing. */
export const NO_WORK: WorkerStatus = {
  host: 'here',
  pid: 1,
  threads: 1,
  startedAtMs: 0,
  writtenAtMs: 0,
  executed: 0,
  failed: 0,
  tasksPerSecond: 0,
  rssMb: 0,
  running: [],
}
