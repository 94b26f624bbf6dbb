import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  FunctionTask,
  type Payload,
  partial,
  queueable,
  RegisteredTask,
  registerTask,
  taskFromPayload,
  UnregisteredTaskError,
} from 'ptq'
import { parseJson, stringifyJson } from '#ptq/json/json.js'
import { toPayload } from '#ptq/tasks/task-payload.js'

// The tests run from build/test; fixtures are not compiled.
const FIXTURES = join(import.meta.dirname, '../../test/fixtures/python-queue/queue')

const optional = queueable(function optional(x: number, y?: number) {
  return x + (y ?? 0)
})
const pair = queueable(
  function pair(x: number, y: number) {
    return [x, y]
  },
  { minArgs: 2 },
)
const area = queueable(function area(width: number, height: number, unit = 'px') {
  return `${width * height} ${unit}`
})
queueable(
  function scale(x: number, { by, plus = 0 }: { by: number; plus?: number }) {
    return x * by + plus
  },
  { module: 'shapes' },
)

class Box extends RegisteredTask<{ min: number[]; label?: string }> {
  execute(...extra: string[]) {
    return [this.constructor.name, this.args.min, ...extra]
  }
}
registerTask(Box)

@registerTask
class Decorated extends RegisteredTask<{ n: number }> {
  execute() {
    return this.args.n + 1
  }
}

class Unregistered extends RegisteredTask<{ n: number }> {
  execute() {
    return this.args.n
  }
}

describe('partial', () => {
  it('creates a task with the key of the function and the arguments', () => {
    const task = partial(area, 2, 3)
    assert.ok(task instanceof FunctionTask)
    assert.deepEqual(task.key, ['task.test', 'area'])
    assert.deepEqual(task.args, [2, 3])
    assert.deepEqual(task.payload(), [['task.test', 'area'], [2, 3], {}, -1])
    assert.equal(task.execute(), '6 px')
  })

  it('can be nested, and does not change the given task', () => {
    const row = partial(area, 2)
    const task = partial(partial(row, 5), 'mm')
    assert.deepEqual(task.payload(), [['task.test', 'area'], [2, 5, 'mm'], {}, -1])
    assert.equal(task.execute(), '10 mm')
    assert.deepEqual(row.args, [2])
  })

  it('keeps keyword arguments of the given task', () => {
    const task = partial(new FunctionTask<[number], number>(['shapes', 'scale'], [], { by: 3 }), 5)
    assert.deepEqual(task.payload(), [['shapes', 'scale'], [5], { by: 3 }, -1])
    assert.equal(task.execute(), 15)
  })

  it('refuses unregistered functions', () => {
    assert.throws(
      () => partial(() => 1),
      (error: unknown) =>
        error instanceof UnregisteredTaskError &&
        /function \(anonymous\) to be registered.*queueable/.test(error.message),
    )
    assert.throws(
      () => Reflect.apply(partial, undefined, ['area']),
      /^TypeError: Expected `fn` to be a function that `queueable`/,
    )
  })
})

describe('FunctionTask', () => {
  it('is refused as a payload with fewer arguments than minArgs', () => {
    assert.throws(
      () => partial(pair, 2).payload(),
      /^TypeError: Expected at least 2 arguments for task\.test\.pair, got 1: add them by partial\(\)/,
    )
    assert.deepEqual(partial(optional, 2).payload()[1], [2], 'a parameter with ? needs no argument')
    assert.equal(partial(optional, 2).execute(), 2)
    for (const minArgs of [-1, 1.5, 2]) {
      assert.throws(
        () => queueable((x: number) => x, { name: 'short', minArgs }),
        /^TypeError: Expected `options.minArgs` to be an integer from 0 to the 1 parameters of short/,
      )
    }
  })

  it('passes keyword arguments, if any, as one last object after the extra arguments', () => {
    assert.equal(new FunctionTask(['shapes', 'scale'], [2], { by: 5, plus: 1 }).execute(), 11)
    assert.equal(new FunctionTask(['task.test', 'area'], [2, 3]).execute('cm'), '6 cm')
    assert.deepEqual(new FunctionTask(['shapes', 'scale'], [2], { by: 5 }).payload()[2], { by: 5 })
  })

  it('needs no code here, since another process has it', () => {
    const task = new FunctionTask(['mylib.tasks', 'segment'], [18446744073709551615n], { mip: 2 })
    assert.deepEqual(task.payload(), [['mylib.tasks', 'segment'], [18446744073709551615n], { mip: 2 }, -1])
    assert.throws(() => task.execute(), {
      name: 'UnregisteredTaskError',
      message: /function segment of module mylib\.tasks to be registered here/,
    })
  })

  it('refuses an invalid key, arguments or keywords', () => {
    for (const key of ['tasks', ['tasks'], ['tasks', ''], ['a', 'b', 'c'], [1, 'b']]) {
      assert.throws(() => new FunctionTask(key as never), /^TypeError: Expected `key` to be a pair of names/)
    }
    assert.throws(() => new FunctionTask(['m', 'f'], { 0: 1 } as never), /^TypeError: Expected `args` to be an array/)
    for (const kwargs of [[], null, 'x']) {
      assert.throws(
        () => new FunctionTask(['m', 'f'], [], kwargs as never),
        /^TypeError: Expected `kwargs` to be an obj/,
      )
    }
  })

  it('names the path to an argument without a JSON form', () => {
    assert.throws(
      () => new FunctionTask(['m', 'f'], [{ on: [() => 1] }]).payload(),
      /Expected `args\[0\]\.on\[0\]` to be/,
    )
    assert.throws(
      () => new FunctionTask(['m', 'f'], [], { seen: new Set() }).payload(),
      /Expected `kwargs\.seen` to be/,
    )
  })
})

describe('RegisteredTask', () => {
  it('has a payload of its fields followed by its name', () => {
    const payload = new Box({ min: [0, 1] }).payload()
    assert.deepEqual(payload, { min: [0, 1], class: 'Box' })
    assert.equal(Object.keys(payload).at(-1), 'class')
    assert.deepEqual(new Decorated({ n: 1 }).payload(), { n: 1, class: 'Decorated' })
  })

  it('is restored as an object of its class', () => {
    const task = taskFromPayload({ min: [7], class: 'Box' })
    assert.ok(task instanceof Box)
    assert.deepEqual(task.execute('x'), ['Box', [7], 'x'])
    assert.equal((taskFromPayload({ n: 1, class: 'Decorated' }) as Decorated).execute(), 2)
  })

  it('refuses fields that are not an object, or that use the key of the name', () => {
    for (const args of [undefined, null, [1], 'x']) {
      assert.throws(() => new Box(args as never), /^TypeError: Expected `args` to be an object of the task's fields/)
    }
    assert.throws(() => new Box({ min: [], class: 'Other' } as never).payload(), /leave `class` free/)
    assert.throws(() => new Box({ min: [Symbol('s')] } as never).payload(), /Expected `args\.min\[0\]` to be/)
  })

  it('has no payload before it is registered', () => {
    assert.throws(() => new Unregistered({ n: 1 }).payload(), {
      name: 'UnregisteredTaskError',
      message: /class Unregistered to be registered here.*registerTask\(Unregistered\)/,
    })
  })
})

describe('taskFromPayload', () => {
  it('refuses an unregistered task, and says what is known of its module', () => {
    assert.throws(() => taskFromPayload([['task.test', 'volume'], [], {}, -1]), {
      name: 'UnregisteredTaskError',
      message: /function volume of module task\.test.*known of task\.test: optional, pair, area/,
    })
    assert.throws(() => taskFromPayload({ class: 'toString' }), { name: 'UnregisteredTaskError' })
    assert.throws(() => taskFromPayload([['__proto__', 'constructor'], [], {}]), { name: 'UnregisteredTaskError' })
  })

  it('refuses an invalid payload', () => {
    for (const payload of [
      null,
      1,
      'x',
      [],
      {},
      { class: 1 },
      [['a', 'b'], []],
      [['a'], [], {}],
      [['a', 'b'], {}, {}],
    ]) {
      assert.throws(() => taskFromPayload(payload), /^TypeError: Expected `payload` to be a task/)
    }
  })

  it('accepts the longer list that a later version of Python might write', () => {
    assert.equal((taskFromPayload([['task.test', 'area'], [1, 2], {}, -1, 'x']) as FunctionTask).execute(), '2 px')
  })
})

describe('toPayload', () => {
  it('accepts each form of a task', () => {
    const all: [Parameters<typeof toPayload>[0], Payload][] = [
      [partial(area, 1, 2), [['task.test', 'area'], [1, 2], {}, -1]],
      [new Box({ min: [] }), { min: [], class: 'Box' }],
      [
        queueable(function ready() {
          return 1
        }),
        [['task.test', 'ready'], [], {}, -1],
      ],
      [
        [['other', 'f'], [1], {}, -1],
        [['other', 'f'], [1], {}, -1],
      ],
      [
        { class: 'Other', x: 1 },
        { class: 'Other', x: 1 },
      ],
    ]
    for (const [given, payload] of all) assert.deepEqual(toPayload(given), payload)
  })

  it('refuses other values', () => {
    for (const given of [null, 7, 'area', {}, [], new Date()]) {
      assert.throws(() => toPayload(given as never), /^TypeError: Expected `task` to be a task \(partial\(fn, …\)/)
    }
  })
})

describe('payloads that Python wrote', () => {
  queueable(
    function print_task(txt: string, _more: object = {}) {
      return txt
    },
    { module: 'tasks' },
  )
  queueable(
    function segment(labels: bigint[], _more: object = {}) {
      return labels
    },
    { module: 'tasks' },
  )
  class PrintTask extends Box {}
  class Downsample extends Box {}
  class MockTask extends Box {}
  for (const Class of [PrintTask, Downsample, MockTask]) registerTask(Class)

  for (const file of readdirSync(FIXTURES)) {
    it(`are preserved: ${file}`, () => {
      const text = readFileSync(join(FIXTURES, file), 'utf8')
      const { payload } = parseJson(text) as { payload: Payload }
      const task = taskFromPayload(payload)
      assert.deepEqual(task.payload(), payload)
      assert.ok(withoutStyle(text).startsWith(`{"payload":${stringifyJson(task.payload())},`))
    })
  }
})

/** Python's JSON without its blanks and its escapes of what is not ASCII. */
function withoutStyle(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"|[,:] /g, part =>
    part.startsWith('"') ? JSON.stringify(JSON.parse(part)) : part.charAt(0),
  )
}
