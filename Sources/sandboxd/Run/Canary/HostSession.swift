// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import Glibc
internal import JSON
internal import Kernel
internal import SystemPackage

/// One `sandboxd run` whose command stays on this host.
struct HostSession {
    private let options: RunCommand

    init(_ options: RunCommand) {
        self.options = options
    }

    /// Becomes the command, or runs it beside its shadow; comes back with the status to end with
    /// when it cannot be executed.
    func run() throws(ClientError) -> Int32 {
        let count = options.command.count
        guard options.canary.shadow else { return PlainCommand.become(argumentCount: count) }
        let output = HostOutput.present
        let input = options.stdin ? try copiedInput() : nil
        // The key is the command's: a shadow under it would be taken for the command itself, later.
        var other = options
        other.key = nil
        let before = options.out.map { OutFiles($0) }
        // The shadow first: this process has one thread now, and its start takes no time.
        let shadow = try Shadow(
            Shadow.Plan(
                body: try RunBody.make(other, input: input),
                profile: options.job.profile,
                taskID: options.canary.taskID,
                places: .init(counted: "on the host", shadow: "in the sandbox"),
                withArtifacts: options.out != nil,
                daemon: DaemonAPI(socket: options.socket)
            )
        )
        do throws(HostRun.NotStarted) {
            var host = try HostRun(argumentCount: count, output: output)
            signal(SIGPIPE, SIG_IGN)
            let ending = host.wait()
            switch ending.outputFailure {
            case nil:
                var seen = ending.seen
                seen.artifacts = before?.changes()
                shadow.tell(seen)
            case .brokenPipe?:
                // A sandbox has no reader that goes: the two are not comparable.
                break
            case let error?:
                Terminal.lose(1, error)
                if ending.isSuccess { return 125 }
            }
            ending.repeatIt()
        } catch {
            var seen = Observation(wallMilliseconds: 0, memoryPeakBytes: 0)
            seen.status = Int(error.status)
            shadow.tell(seen)
            return error.status
        }
    }

    /// The same input for the sandbox: only what can be read twice.
    private func copiedInput() throws(ClientError) -> [UInt8] {
        var status = stat()
        guard fstat(0, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw .usage(
                "--shadow with --stdin: the standard input is no file, and cannot be read twice; "
                    + "put it into a file, or leave one of the two out"
            )
        }
        do throws(Errno) {
            // A description of its own, so that the command's place in the file stays.
            let file = try Descriptor.open("/proc/self/fd/0", O_RDONLY)
            _ = try kernel { lseek(file.number, lseek(0, 0, SEEK_CUR), SEEK_SET) }
            let content = try file.readAll(limit: RunInput.fileLimit + 1)
            guard content.count <= RunInput.fileLimit else { throw Errno.fileTooLarge }
            return content
        } catch {
            throw .file("the standard input", error)
        }
    }
}
