// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import NIOHTTP1

/// The server's side of one plain request: what it answers goes to the client.
final class PlainServer: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let client: ChannelHandlerContext
    /// The version that the client speaks.
    private let version: HTTPVersion
    private var context: ChannelHandlerContext?
    /// Called when it can be written to again.
    var onWritable: () -> Void = {}
    /// Called when the server ends the connection, or breaks it, without the head of an answer.
    var onSilence: () -> Void = {}
    /// Whether the head of the answer is on its way to the client.
    private var hasBegun = false
    /// Whether no more of the answer comes: all of it is on its way to the client, which is closed
    /// behind it, or it has broken off.
    private var isOver = false

    init(client: ChannelHandlerContext, version: HTTPVersion) {
        self.client = client
        self.version = version
    }

    var isWritable: Bool { context?.channel.isWritable ?? false }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        // When an address does not answer, this stands on the next one's channel already by the time
        // that the first one's lets go of it.
        guard self.context === context else { return }
        self.context = nil
        onWritable = {}
        onSilence = {}
    }

    // MARK: From the client

    func send(_ part: HTTPServerRequestPart) {
        let sent: HTTPClientRequestPart =
            switch part {
            case .head(let head): .head(head)
            case .body(let bytes): .body(.byteBuffer(bytes))
            case .end: .end(nil)
            }
        context?.write(wrapOutboundOut(sent), promise: nil)
    }

    func flush() { context?.flush() }

    func close() { context?.close(promise: nil) }

    // MARK: To the client

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        switch unwrapInboundIn(data) {
        case .head(var head):
            hasBegun = true
            // An old server's answer is as long as its connection. To a client that knows of chunks its
            // end is one, so that an answer that breaks off shows.
            if version == .http1_1 { head.version = version }
            for name in ["connection", "keep-alive", "upgrade"] { head.headers.remove(name: name) }
            head.headers.add(name: "Connection", value: "close")
            answer(.head(head))
        case .body(let bytes): answer(.body(.byteBuffer(bytes)))
        case .end:
            isOver = true
            let client = NIOLoopBound(client, eventLoop: client.eventLoop)
            self.client.writeAndFlush(NIOAny(HTTPServerResponsePart.end(nil)))
                .whenComplete { _ in client.value.close(promise: nil) }
            context.close(promise: nil)
        }
    }

    private func answer(_ part: HTTPServerResponsePart) {
        client.write(NIOAny(part), promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        client.flush()
        readMore()
    }

    /// Reads on, as soon as the client takes more.
    func readMore() {
        if client.channel.isWritable { context?.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { onWritable() }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        breakOff()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        breakOff()
        context.close(promise: nil)
    }

    /// Ends an answer that has no end of its own. It must not look like one that has: its length or
    /// its last chunk is missing, also when it is as long as its connection, and anybody on the way
    /// could have cut something off.
    private func breakOff() {
        guard !isOver else { return }
        isOver = true
        guard hasBegun else { return onSilence() }
        client.flush()
        client.close(promise: nil)
    }
}
