/** The `ptq` commands that are run beside everything else, as somebody at a shell would. */
import type { Queues } from './part.js'

export interface Command {
  /** What the report calls it. */
  readonly name: string
  readonly args: readonly string[]
  /** What it says on stderr where a code of 1 is no fault. */
  readonly mayFail?: RegExp
}

/** The next command: they take turns, so that none comes too seldom. */
export function commandAt(turn: number): (queues: Queues) => Command {
  return queues => {
    const commands = commandsOn(queues)
    return commands[turn % commands.length] ?? carryCommand(queues)
  }
}

function commandsOn(queues: Queues): readonly Command[] {
  const { main, backup, deadLetter } = queues
  if (deadLetter !== undefined) {
    return [
      carryCommand(queues),
      moveCommand(queues),
      backCommand(queues),
      { name: 'ptq-status', args: ['status', main, ...serverOf(queues)] },
      carryCommand(queues),
      { name: 'ptq-failures', args: ['failures', main, '--group', '--dead-letter', deadLetter, ...serverOf(queues)] },
      moveCommand(queues),
      {
        name: 'ptq-retry',
        args: ['retry', main, '--match', '"p-', '--dead-letter', deadLetter, ...serverOf(queues)],
      },
    ]
  }
  return [
    carryCommand(queues),
    moveCommand(queues),
    { name: 'ptq-status', args: ['status', main] },
    copyCommand(queues),
    carryCommand(queues),
    { name: 'ptq-failures', args: ['failures', main, '--group'] },
    moveCommand(queues),
    copyCommand(queues),
    { name: 'ptq-release', args: ['release', main] },
    carryCommand(queues),
    { name: 'ptq-ls', args: ['ls', main] },
    moveCommand(queues),
    { name: 'ptq-purge', args: ['purge', backup, '--yes'] },
    { name: 'ptq-rezero', args: ['rezero', backup] },
    copyCommand(queues),
    // Of tasks that always fail: they will come back.
    { name: 'ptq-retry', args: ['retry', main, '--match', '"p-'] },
  ]
}

/** From the transit queue into the depot. */
export function carryCommand(queues: Queues): Command {
  return moveBetween(queues, queues.transit, queues.depot)
}

/** From the depot into the main queue. */
export function moveCommand(queues: Queues): Command {
  return moveBetween(queues, queues.depot, queues.main)
}

/** From the main queue into the depot: on a FIFO queue each passage has to be stored, also soon after the last one. */
function backCommand(queues: Queues): Command {
  return moveBetween(queues, queues.main, queues.depot)
}

function moveBetween(queues: Queues, from: string, to: string): Command {
  // Into SQS, a lease may be lost while it is moved. The depot's folder may be away.
  return { name: 'ptq-mv', args: ['mv', from, to, ...serverOf(queues)], mayFail: /stayed in|may be in both|depot/ }
}

function serverOf({ endpoint }: Queues): string[] {
  return endpoint === undefined ? [] : ['--endpoint', endpoint, '--region', 'us-east-1']
}

export function copyCommand({ main, backup }: Queues): Command {
  return { name: 'ptq-cp', args: ['cp', main, backup] }
}
