/** The `ptq` commands that run beside everything else, as from a shell. */
import { fileURLToPath } from 'node:url'
import type { Queues } from './process-options.js'

export interface Command {
  /** Its name in the report. */
  readonly name: string
  readonly args: readonly string[]
  /** The text on stderr for which exit code 1 is no fault. */
  readonly mayFail?: RegExp
  /** The same, if the folder of the depot was away during the run. */
  readonly mayMiss?: RegExp
  /** The folder of the file queue whose tasks it moves into SQS: what stays there is checked at its end. */
  readonly source?: string
}

/** The next command: they take turns, so that none runs too rarely. */
export function commandAt(turn: number): (queues: Queues) => Command {
  return queues => {
    const commands = commandsOn(queues)
    return commands[turn % commands.length] ?? toDepotCommand(queues)
  }
}

function commandsOn(queues: Queues): readonly Command[] {
  const { main, backup, deadLetter } = queues
  if (deadLetter !== undefined) {
    return [
      toDepotCommand(queues),
      moveCommand(queues),
      backCommand(queues),
      { name: 'ptq-status', args: ['status', main, ...serverOf(queues)] },
      toDepotCommand(queues),
      { name: 'ptq-failures', args: ['failures', main, '--group', '--dead-letter', deadLetter, ...serverOf(queues)] },
      moveCommand(queues),
      {
        name: 'ptq-retry',
        args: ['retry', main, '--match', '"p-', '--dead-letter', deadLetter, ...serverOf(queues)],
      },
    ]
  }
  return [
    toDepotCommand(queues),
    moveCommand(queues),
    { name: 'ptq-status', args: ['status', main] },
    copyCommand(queues),
    toDepotCommand(queues),
    { name: 'ptq-failures', args: ['failures', main, '--group'] },
    moveCommand(queues),
    copyCommand(queues),
    { name: 'ptq-release', args: ['release', main] },
    toDepotCommand(queues),
    { name: 'ptq-ls', args: ['ls', main] },
    moveCommand(queues),
    { name: 'ptq-purge', args: ['purge', backup, '--yes'] },
    { name: 'ptq-rezero', args: ['rezero', backup] },
    copyCommand(queues),
    // Tasks that always fail, so they return.
    { name: 'ptq-retry', args: ['retry', main, '--match', '"p-'] },
  ]
}

/** Moves from the transit queue into the depot. */
export function toDepotCommand(queues: Queues): Command {
  return moveBetween(queues, queues.transit, queues.depot)
}

/** Moves from the depot into the main queue. */
export function moveCommand(queues: Queues): Command {
  return moveBetween(queues, queues.depot, queues.main)
}

/** Moves from the main queue into the depot: a FIFO queue has to store each passage, also soon after the last one. */
function backCommand(queues: Queues): Command {
  return moveBetween(queues, queues.main, queues.depot)
}

/** Errors where `queue` in the depot's folder is missing. */
const MISSING_DEPOT = /depot[^\n]*(without a `queue` folder|was removed|remove \S+\/to)|ENOENT[^\n]*depot/

function moveBetween(queues: Queues, from: string, to: string): Command {
  const isOnSqs = queues.endpoint !== undefined
  return {
    name: 'ptq-mv',
    args: ['mv', from, to, ...serverOf(queues)],
    // Others may hold tasks; a lease on SQS may be lost while it is moved.
    mayFail: isOnSqs ? /stayed in|may be in both/ : /stayed in/,
    ...(isOnSqs && from.startsWith('fq:') && { source: fileURLToPath(from.replace('fq:', 'file:')) }),
    ...(!isOnSqs && { mayMiss: MISSING_DEPOT }),
  }
}

function serverOf({ endpoint }: Queues): string[] {
  return endpoint === undefined ? [] : ['--endpoint', endpoint, '--region', 'us-east-1']
}

export function copyCommand({ main, backup }: Queues): Command {
  return { name: 'ptq-cp', args: ['cp', main, backup] }
}
