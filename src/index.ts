export type {
  Backend,
  BackendOpener,
  BackendOptions,
  BatchFailure,
  Capabilities,
  Counts,
  Failure,
  Lease,
  ListedMessage,
  Message,
  MessageState,
  QueueUrl,
  WorkerStatus,
} from './backend.js'
export type { MemOptions } from './backends/mem.js'
export type { BoundFunction } from './bound-function.js'
export type { Clock } from './clock.js'
export { context, type TaskContext } from './context.js'
export type { RetryOptions } from './dead-letters.js'
export {
  type FailedSlice,
  InsertError,
  LeaseLostError,
  TaskError,
  UnregisteredTaskError,
  UnsupportedOperationError,
  UnsupportedProtocolError,
} from './errors.js'
export { type Box, type GridOptions, grid, type TaskGrid } from './grid.js'
export { type JsonValue, type NanPolicy, parseJson, stringifyJson } from './json.js'
export type { TaskProgress } from './local-run.js'
export {
  LocalTaskQueue,
  type LocalTaskQueueOptions,
  type ResultsOptions,
  type RunCallOptions,
} from './local-task-queue.js'
export { MockTaskQueue } from './mock-task-queue.js'
export { registerBackend } from './open-backend.js'
export type { BackoffException, PollOptions, PollState } from './poll/poll-options.js'
export type { TaskEvent, WorkerEventMap, WorkerEvents } from './poll/worker-events.js'
export type { LeasedTask, ListedTask, QueuedTask } from './queued-task.js'
export { range, type TaskRange } from './range.js'
export {
  type FunctionKey,
  type QueueableOptions,
  queueable,
  type RegisterTaskOptions,
  registerTask,
  type TaskClass,
} from './registry.js'
export type { Result } from './results.js'
export { type Sliceable, type SliceableClass, type SliceableOptions, sliceable } from './sliceable.js'
export {
  type BareTask,
  type ClassPayload,
  type FunctionPayload,
  FunctionTask,
  type OpenTask,
  type Payload,
  partial,
  RegisteredTask,
  type Task,
  type TaskInput,
  type TaskResult,
  taskFromPayload,
} from './task.js'
export { TaskQueue } from './task-queue.js'
export type { InsertOptions, LeaseOptions, QueueStatus, TaskQueueOptions } from './task-queue-options.js'
export type { TaskIterable } from './task-source.js'
export type { MoveResult, TransferOptions } from './transfer.js'
export type { UploadHead, UploadState, Uploads } from './uploads.js'
