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
    return commands[turn % commands.length] ?? moveCommand(queues)
  }
}

function commandsOn(queues: Queues): readonly Command[] {
  const { main, backup, deadLetter } = queues
  if (deadLetter !== undefined) {
    return [
      moveCommand(queues),
      { name: 'ptq-status', args: ['status', main, ...serverOf(queues)] },
      moveCommand(queues),
      { name: 'ptq-failures', args: ['failures', main, '--group', '--dead-letter', deadLetter, ...serverOf(queues)] },
      moveCommand(queues),
      {
        name: 'ptq-retry',
        args: ['retry', main, '--match', '"p-', '--dead-letter', deadLetter, ...serverOf(queues)],
      },
    ]
  }
  return [
    moveCommand(queues),
    { name: 'ptq-status', args: ['status', main] },
    copyCommand(queues),
    { name: 'ptq-failures', args: ['failures', main, '--group'] },
    moveCommand(queues),
    copyCommand(queues),
    { name: 'ptq-release', args: ['release', main] },
    { name: 'ptq-ls', args: ['ls', main] },
    moveCommand(queues),
    { name: 'ptq-purge', args: ['purge', backup, '--yes'] },
    { name: 'ptq-rezero', args: ['rezero', backup] },
    copyCommand(queues),
    // Of tasks that always fail: they will come back.
    { name: 'ptq-retry', args: ['retry', main, '--match', '"p-'] },
  ]
}

export function moveCommand(queues: Queues): Command {
  const { transit, main } = queues
  // Into SQS, a lease may be lost while it is moved.
  return { name: 'ptq-mv', args: ['mv', transit, main, ...serverOf(queues)], mayFail: /stayed in|may be in both/ }
}

function serverOf({ endpoint }: Queues): string[] {
  return endpoint === undefined ? [] : ['--endpoint', endpoint, '--region', 'us-east-1']
}

export function copyCommand({ main, backup }: Queues): Command {
  return { name: 'ptq-cp', args: ['cp', main, backup] }
}
