/** Which rows of the bench are in the picture, and what each contender is there. */
import type { JsonRow } from '../json-row.js'
import type { Scope } from '../row.js'

/** A floor does the same work without a queue. */
type Role = 'ours' | 'rival' | 'floor'

/** One row of the bench. */
export interface Panel {
  readonly heading: string
  readonly bars: readonly Bar[]
}

interface Bar {
  readonly label: string
  readonly role: Role
  readonly tasksPerSecond: number
  /** The speed of ptq's first contender divided by this one's; for ptq's own, `undefined`. */
  readonly oursIs: number | undefined
}

interface Choice {
  readonly scope: Scope
  /** The row's title. */
  readonly title: string
  readonly heading: string
  /** Contenders that are floors. Those that begin with `ptq` are ours, the others competitors. */
  readonly floors: readonly string[]
}

/** From top to bottom. */
const CHOICES: readonly Choice[] = [
  {
    scope: 'local',
    title: 'no-op tasks from a generator, two threads',
    heading: 'Run on two threads of this machine',
    floors: ['Piscina, 256 tasks a message'],
  },
  {
    scope: 'fq',
    title: 'no-op tasks from a generator inserted, one thread',
    heading: 'Insert into a file queue, one thread',
    floors: ['the same calls in bare Node'],
  },
  {
    scope: 'fq',
    title: 'no-op tasks leased, run, removed and tallied by one worker',
    heading: 'Lease, run and remove from a file queue, one worker',
    floors: ['the same calls in bare Node'],
  },
  {
    scope: 'packs',
    title: 'no-op tasks inserted into a file queue, one thread',
    heading: 'Insert into a file queue in packs, one thread',
    floors: ['the same calls in bare Node, a hundredth as many messages'],
  },
  {
    scope: 'packs',
    title: 'no-op tasks leased, run and tallied by one worker, parallel: 0',
    heading: 'Lease, run and remove packs from a file queue, one worker',
    floors: ['the same calls in bare Node, a hundredth as many messages'],
  },
  {
    scope: 'sqs',
    title: 'no-op tasks from a generator inserted, one thread (a server that only confirms)',
    heading: 'Insert into SQS, one thread',
    floors: [],
  },
  {
    scope: 'sqs',
    title: 'no-op tasks received, run and deleted by one worker',
    heading: 'Receive, run and delete from SQS, one worker',
    floors: [],
  },
]

/** The panels of the measured scopes. @throws Error if a chosen row or contender is missing */
export function panelsOf(rows: readonly JsonRow[]): Panel[] {
  const chosen = CHOICES.filter(({ scope }) => rows.some(row => row.scope === scope))
  if (chosen.length === 0) {
    throw new Error(`Expected rows of ${[...new Set(CHOICES.map(({ scope }) => scope))].join(' or ')}, got none`)
  }
  return chosen.map(choice => {
    const row = rows.find(({ scope, title }) => scope === choice.scope && title === choice.title)
    if (row === undefined) throw new Error(`Expected the row "${choice.scope}: ${choice.title}": was it renamed?`)
    return panelOf(choice, row)
  })
}

function panelOf({ title, heading, floors }: Choice, { results }: JsonRow): Panel {
  for (const floor of floors) {
    if (!results.some(({ contender }) => contender === floor)) {
      throw new Error(`Expected the row "${title}" to have "${floor}": was it renamed?`)
    }
  }
  const ours = results[0]?.tasksPerSecond ?? Number.NaN
  const bars = results.map(({ contender, tasksPerSecond }): Bar => {
    const role = floors.includes(contender) ? 'floor' : contender.startsWith('ptq') ? 'ours' : 'rival'
    return { label: contender, role, tasksPerSecond, oursIs: role === 'ours' ? undefined : ours / tasksPerSecond }
  })
  return { heading, bars: bars.toSorted((a, b) => b.tasksPerSecond - a.tasksPerSecond) }
}
