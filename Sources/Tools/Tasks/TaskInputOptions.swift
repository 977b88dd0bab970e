// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON
internal import Kernel
internal import SystemPackage

/// What a task runs with.
struct TaskInputOptions: ParsableArguments {
    @OptionGroup var job: JobOptions

    @Flag(help: "Keep this command's standard input for the task.")
    var stdin = false

    /// The members of a task's body that say it; files and standard input are read.
    func members(_ command: [String]) throws(ClientError) -> [String: JSONValue] {
        var members = try job.members(command)
        if stdin { members["stdin_base64"] = .string(Base64.encode(try Self.standardInput())) }
        return members
    }

    private static func standardInput() throws(ClientError) -> [UInt8] {
        do throws(Errno) {
            let content = try Descriptor(owning: 0).readAll(limit: RunInput.fileLimit + 1)
            guard content.count <= RunInput.fileLimit else { throw Errno.fileTooLarge }
            return content
        } catch {
            throw .file("standard input", error)
        }
    }
}
