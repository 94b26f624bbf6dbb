/** Changes of a queue that a page may ask for. Each says what it did. */
import { messageOf } from '../errors/thrown.js'
import { parseJson } from '../json/json.js'
import type { BareTask } from '../tasks/task.js'
import { taskFromJson } from '../tasks/task-from-json.js'
import { counted } from '../text/counted.js'
import { RequestError } from './answers.js'
import type { Sampler } from './sampler.js'

type Action = (sampler: Sampler, body: Readonly<Record<string, unknown>>) => Promise<string>

/** The actions by name. */
export const actions: Readonly<Record<string, Action>> = {
  /** Puts back all dead letters, or those of a group. */
  retry: async ({ queue, place }, body) => {
    const group = body.group === undefined ? undefined : textOf(body, 'group')
    const retried = await queue.retry({ ...place, ...(group !== undefined && { group }) })
    return `Put ${counted(retried, 'task')} back into the queue`
  },
  release: async ({ queue }) => `Released ${counted(await queue.releaseAll(), 'task')}`,
  /** Deletes every task; `confirm` has to be the queue's URL. */
  purge: async ({ queue }, body) => {
    if (textOf(body, 'confirm') !== queue.url) {
      throw new RequestError(400, `Nothing was deleted: expected the queue's name, ${queue.url}`)
    }
    await queue.purge()
    return 'Deleted all tasks; dead letters stayed'
  },
  /** Inserts payloads, one a line, all or none of which are read. */
  insert: async ({ queue }, body) => {
    const tasks = tasksFrom(textOf(body, 'lines'))
    return `Inserted ${counted(await queue.insert(tasks), 'task')}`
  },
}

function textOf(body: Readonly<Record<string, unknown>>, key: string): string {
  const value = body[key]
  if (typeof value === 'string') return value
  throw new RequestError(400, `Expected a text as ${key}`)
}

function tasksFrom(lines: string): BareTask[] {
  const tasks: BareTask[] = []
  for (const [index, line] of lines.split('\n').entries()) {
    if (line.trim() === '') continue
    try {
      tasks.push(taskFromJson(parseJson(line)))
    } catch (cause) {
      throw new RequestError(400, `Nothing was inserted: line ${index + 1} is no payload: ${messageOf(cause)}`, {
        cause,
      })
    }
  }
  if (tasks.length === 0) throw new RequestError(400, 'Nothing was inserted: expected payloads, one a line')
  return tasks
}
