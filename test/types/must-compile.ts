// Compiled, never run: each line is a promise of the types, and each `@ts-expect-error` one of what they refuse.
import {
  context,
  FunctionTask,
  type JsonValue,
  LocalTaskQueue,
  type MockTaskQueue,
  partial,
  queueable,
  RegisteredTask,
  type Result,
  registerTask,
  type TaskError,
  type TaskInput,
  type TaskResult,
} from 'ptq'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_proof: Same<A, B>): void => undefined

const hash = queueable(function hash(path: string, rounds: number, salt = '') {
  return path.length + rounds + salt.length
})
const load = queueable(async (path: string) => ({ path, bytes: 1n }), { name: 'load' })
const ready = queueable(function ready() {
  return 'ready' as const
})

class Resize extends RegisteredTask<{ path: string; mip: number }> {
  execute(scale = 1): number {
    same<string, typeof this.args.path>(true)
    // @ts-expect-error fields are read-only
    this.args = { path: '', mip: 0 }
    return this.args.mip * scale
  }
}
registerTask(Resize)
registerTask(Resize, { name: 'Other', url: import.meta.url })

@registerTask
class Decorated extends RegisteredTask<{ n: number }> {
  async execute() {
    return this.args.n
  }
}

// queueable returns the function with its own type.
same<number, ReturnType<typeof hash>>(true)
same<[path: string, rounds: number, salt?: string | undefined], Parameters<typeof hash>>(true)

// partial binds from the left; what is left is in the type.
same<FunctionTask<[rounds: number, salt?: string | undefined], number>, ReturnType<typeof one>>(true)
const one = () => partial(hash, 'a')
const full: FunctionTask<[salt?: string | undefined], number> = partial(hash, 'a', 1)
const nested: FunctionTask<[], number> = partial(partial(partial(hash, 'a'), 1), 'salt')
// @ts-expect-error a number where a string is expected
partial(hash, 1)
// @ts-expect-error the second argument, by way of nesting
partial(partial(hash, 'a'), 'b')
// @ts-expect-error too many arguments
partial(hash, 'a', 1, 'salt', 'more')
// @ts-expect-error too many arguments, by way of nesting
partial(nested, 'more')
// @ts-expect-error no function
partial('hash')

// Fields of a class.
new Resize({ path: 'a', mip: 1 })
// @ts-expect-error a field is missing
new Resize({ path: 'a' })
// @ts-expect-error a field too many
new Resize({ path: 'a', mip: 1, more: 1 })
// @ts-expect-error a field of another type
new Resize({ path: 1, mip: 1 })
// @ts-expect-error execute is abstract
class _Lazy extends RegisteredTask {}
// @ts-expect-error no class of tasks
registerTask(class NoTask {})
// @ts-expect-error no class of tasks
registerTask(Date)

export async function queues(lq: LocalTaskQueue, mock: MockTaskQueue): Promise<void> {
  // One task, or iterables of any kind.
  same<number, Awaited<ReturnType<typeof lq.insertAll>>>(true)
  await lq.insertAll(full)
  await lq.insertAll(ready)
  await lq.insertAll(new Resize({ path: 'a', mip: 1 }))
  await lq.insertAll([full, nested, ready, new Decorated({ n: 1 })])
  await lq.insertAll(new Set([full]))
  await lq.insertAll([
    [full, ['salt']],
    [ready, []],
    [one(), [1]],
    [hash, ['a', 1]],
    [new Resize({ path: 'a', mip: 1 }), [2]],
  ])
  await lq.insertAll([new FunctionTask(['m', 'f'], [1], { mip: 2 })])
  await lq.insertAll([[['m', 'f'], [1], {}, -1], { class: 'Other', x: 1 }])
  await lq.insertAll(
    (async function* () {
      yield full
    })(),
    { total: 1 },
  )
  await mock.insert(full)
  await mock.insertAll([full])
  lq.insert(full)
  // @ts-expect-error the task needs an argument
  await lq.insertAll(one())
  // @ts-expect-error the task needs an argument
  await lq.insertAll([one()])
  // @ts-expect-error the task needs an argument
  lq.insert([full, one()])
  // @ts-expect-error the task needs an argument
  await mock.insert(one())
  // @ts-expect-error the function needs arguments
  await lq.insertAll([hash])
  // @ts-expect-error no task
  await lq.insertAll(['hash'])
  // @ts-expect-error no task
  await lq.insertAll([{ txt: 'no class' }])
  // @ts-expect-error a pair goes into an array
  await lq.insertAll([full, ['salt']])
  // @ts-expect-error extra arguments are an array
  await lq.insertAll([[full, 'salt']])
  // @ts-expect-error no such option
  await lq.insertAll([full], { ordered: true })

  for await (const result of lq.results([full, partial(load, 'a')])) {
    if (result.ok) same<number | { path: string; bytes: bigint }, typeof result.value>(true)
    else same<typeof result.task, typeof result.error.task>(true)
    // @ts-expect-error only a success has a value
    void result.value
  }
  for await (const result of lq.results([new Decorated({ n: 1 })], { ordered: true, total: 1 })) {
    same<Result<Decorated>, typeof result>(true)
    same<Decorated, typeof result.task>(true)
    if (result.ok) same<number, typeof result.value>(true)
    else same<TaskError<Decorated>, typeof result.error>(true)
  }
  for await (const result of lq.results([[partial(load, 'a'), []] as const])) {
    if (result.ok) same<{ path: string; bytes: bigint }, typeof result.value>(true)
  }
  for await (const result of lq.results(new Set([ready]))) if (result.ok) same<'ready', typeof result.value>(true)
  for await (const result of lq.results([{ class: 'Other' }])) if (result.ok) same<unknown, typeof result.value>(true)
}

same<number, TaskResult<Decorated>>(true)
same<unknown, TaskResult<FunctionTask>>(true)
same<boolean, TaskResult<[() => Promise<boolean>, [1, 2]]>>(true)
export const inputs: TaskInput[] = [full, ready, [full, []]]

// Options.
new LocalTaskQueue()
new LocalTaskQueue({ parallel: true, progress: false, stopOnError: false, concurrency: 2, timeoutSeconds: 1.5 })
new LocalTaskQueue({ maxMemoryMb: 100, signal: AbortSignal.timeout(1), onLog: line => line.trim() })
new LocalTaskQueue({
  onProgress: ({ fraction, note, task, id }) => [fraction.toFixed(), note?.trim(), task, id.trim()],
})
// @ts-expect-error a number or true
new LocalTaskQueue({ parallel: '5' })
// @ts-expect-error a number or true
new LocalTaskQueue({ parallel: false })
// @ts-expect-error no such option
new LocalTaskQueue({ threads: 5 })
// @ts-expect-error a signal, not its controller
new LocalTaskQueue({ signal: new AbortController() })

// In a task.
export async function inTask(): Promise<void> {
  const { id, attempt, signal, progress, log } = context()
  same<[string, number, AbortSignal], [typeof id, typeof attempt, typeof signal]>(true)
  await context().renew(60)
  progress(0.5, 'half')
  log('any', { thing: 1 })
  // @ts-expect-error a number
  progress('half')
  // @ts-expect-error read-only
  context().attempt = 2
}

export const json: JsonValue = { a: [1n, 'x', null, true, { b: 1.5 }] }
// @ts-expect-error JSON has no functions
export const noJson: JsonValue = { a: () => 1 }
