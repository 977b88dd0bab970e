// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import NIOCore
internal import NIOHTTP1

/// The server's side of one plain request: what it answers goes to the client.
final class PlainServer: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let client: ChannelHandlerContext
    /// Whether the client speaks HTTP/1.0: it knows of no chunks, and what has no length ends for
    /// it with the connection.
    private let isOld: Bool
    /// Whether it asked by HEAD: there is no body, whatever the answer's head says of one.
    private let isHead: Bool
    private var context: ChannelHandlerContext?
    /// Called when it can be written to again.
    var onWritable: () -> Void = {}
    /// Called when no answer comes, or none that could be passed on, with why.
    var onSilence: (String) -> Void = { _ in }
    /// Whether the head of the answer is on its way to the client.
    private var hasBegun = false
    /// Whether no more of the answer comes: all of it is on its way to the client, which is closed
    /// behind it, or it has broken off.
    private var isOver = false

    init(client: ChannelHandlerContext, request: HTTPRequestHead) {
        self.client = client
        isOld = request.version == .http1_0
        isHead = request.method == .HEAD
    }

    var isWritable: Bool { context?.channel.isWritable ?? false }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        // When an address does not answer, this stands on the next one's channel already by the time
        // that the first one's lets go of it.
        guard self.context === context else { return }
        self.context = nil
        onWritable = {}
        onSilence = { _ in }
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
        case .head(let head):
            guard Self.isKnown(head) else {
                breakOff("its answer has a transfer coding that it was not asked for")
                context.close(promise: nil)
                return
            }
            hasBegun = true
            answer(.head(framed(head)))
        case .body(let bytes): answer(.body(.byteBuffer(bytes)))
        case .end:
            isOver = true
            // Also the chunk that ends a body is one.
            let last: HTTPServerResponsePart = isHead ? .body(.byteBuffer(ByteBuffer())) : .end(nil)
            let client = NIOLoopBound(client, eventLoop: client.eventLoop)
            self.client.writeAndFlush(NIOAny(last))
                .whenComplete { _ in client.value.close(promise: nil) }
            context.close(promise: nil)
        }
    }

    /// Whether the decoder undoes the answer's transfer codings. Others than `chunked` are on
    /// request alone (RFC 9112, section 7.4), and the client would not hear of one.
    private static func isKnown(_ head: HTTPResponseHead) -> Bool {
        let codings = head.headers[canonicalForm: "transfer-encoding"].map { $0.lowercased() }
        return [[], ["chunked"], ["identity"]].contains(codings)
    }

    /// The head as it goes to the client, in the client's version; how it tells the end of the body
    /// is the encoder's to say.
    ///
    /// An old server's answer is as long as its connection. To a client that knows of chunks its
    /// end is one, so that an answer that breaks off shows.
    private func framed(_ head: HTTPResponseHead) -> HTTPResponseHead {
        var head = head
        head.version = isOld ? .http1_0 : .http1_1
        for name in ["connection", "keep-alive", "upgrade", "transfer-encoding"] {
            head.headers.remove(name: name)
        }
        head.headers.add(name: "Connection", value: "close")
        return head
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
    /// could have cut something off. To an old client, that the connection ends is an end; that it
    /// breaks is none.
    private func breakOff(_ why: String = "it ended the connection without an answer") {
        guard !isOver else { return }
        isOver = true
        guard hasBegun else { return onSilence(why) }
        client.flush()
        guard isOld, let socket = client.channel as? any SocketOptionProvider else {
            return client.close(promise: nil)
        }
        let client = NIOLoopBound(client, eventLoop: client.eventLoop)
        socket.setSoLinger(linger(l_onoff: 1, l_linger: 0))
            .whenComplete { _ in client.value.close(promise: nil) }
    }
}
